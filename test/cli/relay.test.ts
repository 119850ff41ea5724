import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DATABASES, startOutbox, type TestOutbox } from '../support/outbox.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { CommandLine, type Running } from './command.ts';

describe.each(DATABASES)('relay of an outbox in %s', (database) => {
  let system: System;
  let cli: CommandLine;
  let outbox: TestOutbox;
  let relay: Running;

  const place = () => ['--database', outbox.url];

  async function storedIds(topics: string): Promise<unknown[]> {
    const { rows } = await cli.run(['history', topics, '--json']);
    return rows.map(({ event }) => (event as { id: string }).id);
  }

  beforeAll(async () => {
    [system, outbox] = await Promise.all([startSystem(), startOutbox(database)]);
    cli = await CommandLine.for(system);
    relay = cli.start(['relay', ...place(), '--port', '0']);
  });

  afterAll(async () => {
    relay?.child.kill('SIGTERM');
    await relay?.ended;
    cli?.remove();
    await outbox?.stop();
    await system?.stop();
  });

  test('schema: what it prints makes the table, and changes nothing where there is one', async () => {
    const name = database.toLowerCase();
    const { code, stdout } = await cli.run(['relay', 'schema', name]);
    expect(code).toBe(0);
    await outbox.run(stdout);
    const wrong = await cli.run(['relay', 'schema', 'oracle']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('sqlite') });
  });

  test('relay: rows come into the stream in their order, and leave the table', async () => {
    const wanted = ['a', 'b', 'c'];
    await outbox.add(...wanted.map((id) => ({ topic: 'shop.1', type: 'order.changed', id })));
    await until(async () => (await outbox.count()) === 0, 'an empty outbox');
    await until(async () => (await storedIds('shop.1')).length === 3, 'the events');
    expect(await storedIds('shop.1')).toEqual(wanted);
  });

  test('failed and retry: a row that cannot be an event is listed, and tried again once it is right', async () => {
    await outbox.run(
      `INSERT INTO tidemark_outbox (topic, type, source, id) VALUES ('not a topic', 'x', '/shop', 'bad')`,
    );
    const failed = async () => (await cli.run(['relay', 'failed', ...place(), '--json'])).rows;
    await until(async () => (await failed()).length === 1, 'a row that is set aside');
    expect(await failed()).toMatchObject([
      { topic: 'not a topic', id: 'bad', failure: expect.stringContaining('topic') },
    ]);
    await outbox.run(`UPDATE tidemark_outbox SET topic = 'shop.2' WHERE id = 'bad'`);
    expect((await cli.run(['relay', 'retry', ...place()])).code).toBe(0);
    await until(async () => (await storedIds('shop.2')).length === 1, 'the event');
    expect(await failed()).toEqual([]);
  });

  test('Ctrl-C: the relay ends, and leaves what it has not sent', async () => {
    relay.child.kill('SIGINT');
    expect(await relay.ended).toBe(130);
    await outbox.add({ topic: 'shop.3', type: 'order.changed' });
    expect(await outbox.count()).toBe(1);
    relay = cli.start(['relay', ...place(), '--port', '0']);
    await until(async () => (await outbox.count()) === 0, 'an empty outbox');
  });
});

test('a database that is none: told before anything starts', async () => {
  const cli = CommandLine.alone();
  try {
    const { code, stderr } = await cli.run(['relay', '--database', 'mysql://somewhere']);
    expect(code).toBe(2);
    expect(stderr).toContain('postgres://');
  } finally {
    cli.remove();
  }
});
