import { afterEach, expect, test } from 'vitest';
import { TRANSPORTS } from '../support/clients.ts';
import { ids, metric, numbered, type System, startSystem, untilHead } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * Clients that return below the tail while no replay service runs: the stream is scanned for all of them together.
 * Each has a topic of its own, and their events alternate.
 */

const CLIENTS = 80;
const EVENTS = 40;

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

function topicOf(client: number): string {
  return `scans.${client}`;
}

async function start(): Promise<{ readonly system: System; readonly cursors: string[] }> {
  const opened = await startSystem({ env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10' } });
  system = opened;
  const events = ids(1, EVENTS).flatMap((n) => {
    return Array.from({ length: CLIENTS }, (_, client) => numbered(topicOf(client), Number(n)));
  });
  const stored = await opened.publisher.storeAll(events);
  await untilHead(opened);
  await opened.replay.kill();
  return { system: opened, cursors: stored.map(({ cursor }) => cursor) };
}

function returnAll({ system: { listen } }: { readonly system: System }, after: string) {
  return Array.from({ length: CLIENTS }, (_, client) => {
    return listen(TRANSPORTS[client % 2] ?? 'sse', { topics: topicOf(client), after });
  });
}

test('stream scans: without replay: each client gets all that it missed, in order, from a few scans', async () => {
  const started = await start();
  const [first = ''] = started.cursors;
  const clients = returnAll(started, first);
  for (const client of clients) await until(() => client.live, 'live');
  for (const [client, { ids: received, gaps }] of clients.entries()) {
    expect(received).toEqual(ids(client === 0 ? 2 : 1, EVENTS));
    expect(gaps).toEqual([]);
  }
  const scans = await metric(started.system.gateway, 'gateway_stream_scans_total');
  expect(scans).toBeGreaterThan(0);
  expect(scans).toBeLessThan(CLIENTS / 2);
});
