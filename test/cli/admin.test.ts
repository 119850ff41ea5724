import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { CommandLine } from './command.ts';
import { startFakeAdmin } from './fake-admin.ts';

const CONNECTIONS = Array.from({ length: 5 }, (_, index) => ({
  connection: `connection-${index}`,
  gateway: 'g1',
  sub: index === 3 ? 'mallory\u001b[2J' : `user-${index}`,
  transport: index % 2 === 0 ? 'websocket' : 'sse',
  connectedAt: new Date(Date.now() - 3_700_000).toISOString(),
  tokenExpiresAt: new Date(Date.now() + 3_700_000).toISOString(),
  address: '127.0.0.1',
  subscriptions: [
    { id: 's', topics: ['orders.*'], deliver: 'all', state: 'live', cursor: 'x-1', behind: 0 },
  ],
  cursor: 'x-1',
  behind: index * 1000,
  unsentBytes: index * 1000,
  delivered: 10,
  fellBehind: 0,
  slow: index === 4 ? { reason: 'socket-full', sinceMs: 65_000 } : null,
}));

describe('connections and stats', () => {
  let fake: Awaited<ReturnType<typeof startFakeAdmin>>;
  let cli: CommandLine;

  beforeAll(async () => {
    fake = await startFakeAdmin(CONNECTIONS);
    cli = CommandLine.alone({ TIDEMARK_TOKEN: 'a-token' });
    cli.writeProfiles({ current: 'fake', profiles: { fake: { gateway: fake.url } } });
  });

  afterAll(() => {
    cli?.remove();
    fake?.server.closeAllConnections();
    fake?.server.close();
  });

  test('connections: a table of all pages, and which gateway did not answer', async () => {
    const { code, stdout, stderr } = await cli.run(['connections']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/user-0 .*ws .*1h 1m .*orders\.\* .*ok/);
    expect(stdout).toMatch(/user-4 .*4,000 .*4\.0 KB .*socket-full 1m 5s/);
    expect(stdout).toContain('5 shown of 5 at 2 gateways');
    expect(stdout).not.toContain('\u001b');
    expect(stderr).toContain('g2 did not answer');
  });

  test('connections with filters: asks for them, and --limit ends the pages', async () => {
    fake.requests.length = 0;
    const { rows } = await cli.run([
      'connections',
      '--slow',
      '--sub',
      'alice',
      '--limit',
      '3',
      '--json',
    ]);
    expect(rows.map(({ connection }) => connection)).toEqual([
      'connection-0',
      'connection-1',
      'connection-2',
    ]);
    expect(fake.requests[0]).toContain('slow=true');
    expect(fake.requests[0]).toContain('sub=alice');
    expect(fake.requests).toHaveLength(2);
  });

  test('connections --watch: is drawn again and again in a terminal, and needs one', async () => {
    const running = cli.start(['connections', '--watch'], { columns: 100 });
    await until(() => running.stdout.split('user-0').length > 3, 'three pictures');
    running.type('\u0003');
    expect(await running.ended).toBe(130);
    expect(running.stdout.trimEnd().endsWith('\u001b[?25h')).toBe(true);
    expect((await cli.run(['connections', '--watch'])).code).toBe(2);
  });

  test('stats: one picture in a pipe, with what is wrong', async () => {
    const { code, stdout } = await cli.run(['stats']);
    expect(code).toBe(0);
    expect(stdout).toContain('1,234 connections at 1 gateways');
    expect(stdout).toContain('p50 1.5 ms, p99 12.0 ms');
    expect(stdout).toMatch(/gateway .*ready .*1200 ws, 34 sse/);
    expect(stdout).toMatch(/ingest .*silent 9s/);
  });

  test('stats --watch --json: a line for each second', async () => {
    const running = cli.start(['stats', '--watch', '--json']);
    await until(() => running.rows.length === 3, 'three lines');
    running.child.kill('SIGINT');
    expect(await running.ended).toBe(130);
    expect(
      running.rows.map(
        ({ together }) => (together as { eventsInPerSecond: number }).eventsInPerSecond,
      ),
    ).toEqual([1, 2, 3]);
  });
});
