import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DATABASES, startOutbox, startOutboxRelay, type TestOutbox } from '../support/outbox.ts';
import type { Service } from '../support/services.ts';
import { metric, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.stop());

interface Stored {
  readonly id: string;
  readonly topic: string;
  readonly [attribute: string]: unknown;
}

/** The events of a pattern, in the order of the stream. */
async function stored(topics: string): Promise<Stored[]> {
  const headers = { authorization: `Bearer ${system.token}` };
  const url = `${system.replay.url}/v1/events?topics=${encodeURIComponent(topics)}&limit=1000`;
  const { items } = (await (await fetch(url, { headers })).json()) as {
    items: { event: Stored }[];
  };
  return items.map(({ event }) => event);
}

async function untilEmpty(outbox: TestOutbox): Promise<void> {
  const isEmpty = async () => (await outbox.rows()).every(({ failure }) => failure !== null);
  await until(isEmpty, 'an outbox in which no row waits');
}

async function untilStored(topics: string, ids: readonly string[]): Promise<void> {
  await until(
    async () => (await stored(topics)).length >= ids.length,
    `${ids.length} events on ${topics}`,
  );
  expect((await stored(topics)).map(({ id }) => id)).toEqual(ids);
}

describe.each(DATABASES)('relay of an outbox in %s', (database) => {
  let outbox: TestOutbox;
  let relay: Service<'relay'>;

  beforeAll(async () => {
    outbox = await startOutbox(database);
    relay = await startOutboxRelay(outbox, system);
  });
  afterAll(async () => {
    await relay?.stop();
    await outbox?.stop();
  });

  test('a row: becomes an event with all that the row has, and leaves the table', async () => {
    const topic = `shop.${database}.whole`;
    const event = {
      topic,
      type: 'order.paid',
      id: 'one',
      time: '2026-01-02T03:04:05.678Z',
      data: { total: 7, text: 'ü\n"' },
      subject: 'order 7',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      colour: 'red',
    };
    await outbox.add(event);
    await untilStored(topic, ['one']);
    await untilEmpty(outbox);
    const [whole] = await stored(topic);
    const time = expect.stringMatching(/^2026-01-02T03:04:05\.678(000)?Z$/);
    expect(whole).toEqual({
      ...event,
      specversion: '1.0',
      source: '/outbox',
      publisher: 'shop',
      time,
    });
  });

  test('rows of plain SQL: keep digits that JavaScript has not', async () => {
    const topic = `shop.${database}.digits`;
    await outbox.run(`INSERT INTO tidemark_outbox (topic, type, source, id, data)
      VALUES ('${topic}', 'order.paid', '/sql', 'digits', '{"total": 12345678901234567890}')`);
    await untilStored(topic, ['digits']);
    const headers = { authorization: `Bearer ${system.token}` };
    const answer = await fetch(`${system.replay.url}/v1/events?topics=${topic}`, { headers });
    expect(await answer.text()).toContain('12345678901234567890');
  });

  test('many rows on few topics: come in the order of each topic, once', async () => {
    const ids = Array.from({ length: 300 }, (_, n) => String(n));
    for (let at = 0; at < ids.length; at += 50) {
      const part = ids.slice(at, at + 50).flatMap((id) =>
        ['a', 'b', 'c'].map((name) => ({
          topic: `shop.${database}.many.${name}`,
          type: 'many',
          id,
        })),
      );
      await outbox.add(...part);
    }
    for (const name of ['a', 'b', 'c']) await untilStored(`shop.${database}.many.${name}`, ids);
    await untilEmpty(outbox);
  });

  test('rows that ingest refuses: are set aside with the reason, and the others of the topic go on', async () => {
    const topic = `shop.${database}.poison`;
    await outbox.add({ topic, type: 'a', id: 'before' });
    const wrong = [
      ['no type', `'${topic}', '', '/sql'`, /^refused: /],
      ['a topic with a space', `'no topic', 'a', '/sql'`, /^refused: /],
      ['a reserved topic', `'inbox.alice', 'a', '/sql'`, /^refused: topic .*reserved/],
      ['a topic that the token does not permit', `'other.1', 'a', '/sql'`, /^forbidden: /],
      ['half of a pair', `'${topic}', 'a', '/sql'`, /^refused: /, `'"\\ud800"'`],
      [
        'too many bytes',
        `'${topic}', 'a', '/sql'`,
        /^refused: .*262144/,
        `'"${'x'.repeat(270_000)}"'`,
      ],
      [
        'a great many bytes',
        `'${topic}', 'a', '/sql'`,
        /^too_large: /,
        `'"${'x'.repeat(9_000_000)}"'`,
      ],
    ] as const;
    const reasons = new Map<string, RegExp>();
    for (const [id, values, reason, data = 'NULL'] of wrong) {
      reasons.set(id, reason);
      await outbox.run(
        `INSERT INTO tidemark_outbox (topic, type, source, id, data) VALUES (${values}, '${id}', ${data})`,
      );
    }
    await outbox.add({ topic, type: 'a', id: 'after' });
    await untilStored(topic, ['before', 'after']);
    await untilEmpty(outbox);
    const rows = await outbox.rows();
    expect(rows.map(({ id }) => id)).toEqual([...reasons.keys()]);
    for (const { id, failure } of rows) expect(failure).toMatch(reasons.get(id) ?? /never/);
    await outbox.run('DELETE FROM tidemark_outbox');
  });

  test('a row whose id names another event of the topic: is set aside as a conflict', async () => {
    const topic = `shop.${database}.conflict`;
    await outbox.add({ topic, type: 'a', id: 'same', data: 1 });
    await untilStored(topic, ['same']);
    await outbox.add({ topic, type: 'a', id: 'same', data: 2 }, { topic, type: 'a', id: 'next' });
    await untilStored(topic, ['same', 'next']);
    await until(
      async () => (await outbox.rows()).some(({ failure }) => failure !== null),
      'a failure',
    );
    expect((await outbox.rows())[0]?.failure).toMatch(/^conflict: /);
    await outbox.run('DELETE FROM tidemark_outbox');
  });

  test('metrics: count the rows, and show an outbox without a backlog', async () => {
    expect(await metric(relay, 'relay_rows_total')).toBeGreaterThan(900);
    expect(await metric(relay, 'relay_holds_lock')).toBe(1);
    await until(async () => (await metric(relay, 'relay_rows_waiting')) === 0, 'no backlog');
    expect((await fetch(`${relay.url}/readyz`)).status).toBe(200);
  });

  test('ingest is away: rows wait, the relay says so once and is not ready; then they go on', async () => {
    const topic = `shop.${database}.away`;
    await system.ingest.kill('SIGKILL');
    const from = relay.logs.length;
    await outbox.add({ topic, type: 'a', id: '1' });
    await until(async () => (await fetch(`${relay.url}/readyz`)).status === 503, 'not ready');
    await outbox.add({ topic, type: 'a', id: '2' });
    const told = () => relay.logs.slice(from).filter(({ msg }) => msg === 'waiting');
    expect(told()).toMatchObject([
      // A connection that was kept ends in another way than one that is refused.
      { for: 'ingest', reason: expect.stringMatching(/ECONNREFUSED|UND_ERR_SOCKET|ECONNRESET/) },
    ]);
    await system.ingest.restart();
    await untilStored(topic, ['1', '2']);
    await untilEmpty(outbox);
    await until(async () => (await fetch(`${relay.url}/readyz`)).ok, 'ready');
  });

  test('told to stop: it ends with code 0, and the next one goes on', async () => {
    const topic = `shop.${database}.stop`;
    expect(await relay.kill('SIGTERM')).toBe(0);
    await outbox.add({ topic, type: 'a', id: '1' });
    await relay.restart();
    await untilStored(topic, ['1']);
  });
});
