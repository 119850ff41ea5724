import { beforeAll, describe, expect, test } from 'vitest';
import { ids, series, storeArchived } from '../support/system.ts';
import { until } from '../support/until.ts';
import { cli, system, useSystem } from './system-setup.ts';

describe('tail and history', () => {
  useSystem();

  beforeAll(async () => {
    await storeArchived(system, series('old.log', 1, 2500));
  });

  test('tail --until-live: prints everything that was stored, and ends', async () => {
    const { code, rows, stderr } = await cli.run([
      'tail',
      'old.*',
      '--after',
      'earliest',
      '--until-live',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(rows.map(idOf)).toEqual(ids(1, 2500));
  });

  test('tail --count, --types and a template: print as much, and what it says', async () => {
    const { code, stdout } = await cli.run([
      ...['tail', 'old.*', '--after', 'earliest', '--types', 'old.*', '--count', '3'],
      ...['--format', '{topic} {data.n} {{x}} {missing}.'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toBe('old.log 1 {x} .\nold.log 2 {x} .\nold.log 3 {x} .\n');
  });

  test('tail across a gateway that restarts twice: nothing is missing, and nothing comes twice', {
    timeout: 60_000,
  }, async () => {
    const running = cli.start(['tail', 'across.*', '--after', 'earliest', '--json']);
    await system.publisher.storeInOrder(series('across.log', 1, 50));
    await until(() => running.rows.length === 50, 'the first events');
    await system.gateway.kill('SIGKILL');
    await system.publisher.storeInOrder(series('across.log', 51, 150));
    await until(() => running.stderr.includes('offline'), 'a word of the outage');
    await system.gateway.restart();
    await until(() => running.rows.length >= 150, 'the events of the outage');
    await system.gateway.restart();
    await system.publisher.storeInOrder(series('across.log', 151, 200));
    await until(() => running.rows.length >= 200, 'the last events');
    running.child.kill('SIGINT');
    expect(await running.ended).toBe(130);
    expect(running.rows.map(idOf)).toEqual(ids(1, 200));
  });

  test('tail --cursor-file: goes on where the last run ended', async () => {
    const args = [
      'tail',
      'old.*',
      '--after',
      'earliest',
      '--cursor-file',
      'cursor',
      '--until-live',
    ];
    expect((await cli.run(args)).rows).toHaveLength(2500);
    await system.publisher.storeInOrder(series('old.more', 1, 3));
    expect((await cli.run(args)).rows.map(idOf)).toEqual(ids(1, 3));
  });

  test('tail of a pattern that the token does not permit, or that is none: exit codes 3 and 2', async () => {
    expect((await cli.run(['tail', 'not a pattern'])).code).toBe(2);
    expect((await cli.run(['tail', 'x', '--token', 'nonsense'])).code).toBe(3);
    expect((await cli.run(['tail', 'x', '--format', '{'])).code).toBe(2);
  });

  test('an event that would move the cursor of a terminal: is harmless there', async () => {
    const data = '\u001b[2Jgone\u202e\u009b31m';
    await system.publisher.store({ id: '1', source: '/tests', type: 'evil.text', data });
    for (const format of ['pretty', '{data}']) {
      const args = ['tail', 'evil.*', '--after', 'earliest', '--count', '1', '--no-color'];
      const { stdout } = await cli.run([...args, '--format', format], { columns: 120 });
      expect(stdout).toContain('\\u001b[2Jgone\\u202e\\u009b31m');
      expect(stdout).not.toContain('\u001b[2J');
    }
    const piped = await cli.run(['history', 'evil.*', '--format', '{data}']);
    expect(piped.stdout).toBe(`${data}\n`);
  });

  test('history: reads all pages, with --limit a part, backwards too', async () => {
    const all = await cli.run(['history', 'old.log']);
    expect(all.rows.map(idOf)).toEqual(ids(1, 2500));
    const some = await cli.run(['history', 'old.log', '--limit', '1200']);
    expect(some.rows.map(idOf)).toEqual(ids(1, 1200));
    const last = await cli.run(['history', 'old.log', '--order', 'desc', '--limit', '2']);
    expect(last.rows.map(idOf)).toEqual(['2500', '2499']);
    expect((await cli.run(['history', '--after', 'nonsense'])).code).toBe(2);
  });

  test('topics: a table with counts, a tree, and JSON', async () => {
    expect((await cli.run(['topics', 'old.log'])).stdout).toMatch(/old\.log +2,500 +\S+-\d+/);
    expect((await cli.run(['topics', 'old.>', '--tree'])).stdout).toMatch(
      /└─ old [\d,]+\n {3}├─ log 2,500\n/,
    );
    expect((await cli.run(['topics', 'old.log', '--json'])).rows).toMatchObject([
      { topic: 'old.log', count: 2500 },
    ]);
  });
});

function idOf(row: Record<string, unknown>): string {
  return String((row.event as { id: string }).id);
}
