import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, expect, test } from 'vitest';
import { type Listener, TRANSPORTS } from '../support/clients.ts';
import {
  ids,
  metric,
  numbered,
  type System,
  sequenceOf,
  startSystem,
  streamState,
  untilHead,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * Clients that return below the tail while no replay service runs: the stream is scanned for all of them together.
 * Each has a topic of its own, and their events alternate.
 */

const CLIENTS = 80;
const ABSENCE_SECONDS = 1;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function topicOf(client: number): string {
  return `scans.${client}`;
}

/** Where the event number `n` of a client is in the stream. */
function placeOf(client: number, n: number): number {
  return (n - 1) * CLIENTS + client + 1;
}

interface Started {
  readonly system: System;
  /** The cursor of the first event. */
  readonly first: string;
  /** The file of the archive, which has everything. */
  readonly database: string;
}

/** Stores so many events for each client, and kills replay when it has them. */
async function start(events: number): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-scans-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const database = join(folder, 'archive.db');
  const system = await startSystem({
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10',
      TIDEMARK_GATEWAY_ARCHIVE_WAIT_MS: '1000',
      TIDEMARK_ARCHIVE_ABSENCE_SECONDS: String(ABSENCE_SECONDS),
      TIDEMARK_REPLAY_DATABASE: database,
    },
  });
  cleanups.push(system.stop);
  const all = ids(1, events).flatMap((n) => {
    return Array.from({ length: CLIENTS }, (_, client) => numbered(topicOf(client), Number(n)));
  });
  const [first] = await system.publisher.storeAll(all);
  await untilHead(system);
  const { replay } = system;
  await until(async () => (await metric(replay, 'projection_position')) >= all.length, 'archived');
  await replay.kill();
  return { system, first: first?.cursor ?? '', database };
}

function returnAll({ system, first }: Started): Listener[] {
  return Array.from({ length: CLIENTS }, (_, client) => {
    const transport = TRANSPORTS[client % 2] ?? 'sse';
    return system.listen(transport, { topics: topicOf(client), after: first });
  });
}

test('stream scans: without replay: each client gets all that it missed, in order, from a few scans', async () => {
  const started = await start(40);
  const clients = returnAll(started);
  for (const client of clients) await until(() => client.live, 'live');
  for (const [client, { ids: received, gaps }] of clients.entries()) {
    expect(received).toEqual(ids(client === 0 ? 2 : 1, 40));
    expect(gaps).toEqual([]);
  }
  const scans = await metric(started.system.gateway, 'gateway_stream_scans_total');
  expect(scans).toBeGreaterThan(0);
  expect(scans).toBeLessThan(CLIENTS / 2);
});

/** More than one page for each client, so that retention removes what their next scan begins with. */
const EVENTS = 400;
const KEPT = 100;

/**
 * Retention removes all but the last events while the stream is scanned, and then the archive counts as absent for good.
 *
 * @returns the first sequence that the stream has then
 */
async function loseMeanwhile({ system }: Started, clients: readonly Listener[]): Promise<number> {
  const { gateway, nats } = system;
  await until(async () => (await metric(gateway, 'gateway_stream_scans_total')) > 0, 'a scan');
  await withNats(nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    await streams.update(STREAM_NAME, { max_msgs: KEPT * CLIENTS });
  });
  const { first } = await streamState(nats.url);
  expect(first).toBe((EVENTS - KEPT) * CLIENTS + 1);
  await sleep(2000 * ABSENCE_SECONDS);
  const wasTold = ({ received }: Listener) => {
    return received.some((one) => one.type === 'error' && one.code === 'unavailable');
  };
  for (const client of clients) {
    await until(() => client.live || wasTold(client), 'live, or told that it is not there');
  }
  // An archive may come back with it: nobody is told that it is lost, and nobody passes over it.
  for (const [client, { ids: received, gaps }] of clients.entries()) {
    expect(gaps).toEqual([]);
    expect(received).toEqual(
      ids(1, EVENTS)
        .slice(client === 0 ? 1 : 0)
        .slice(0, received.length),
    );
  }
  expect(clients.some(({ live }) => !live)).toBe(true);
  return first;
}

test('stream scans: retention removes events meanwhile: who lacks them waits, and gets all of them when the archive is back', async () => {
  const started = await start(EVENTS);
  const clients = returnAll(started);
  await loseMeanwhile(started, clients);
  await started.system.replay.restart();
  for (const [client, listener] of clients.entries()) {
    await until(() => listener.live, 'live', 20_000);
    expect(listener.ids).toEqual(ids(client === 0 ? 2 : 1, EVENTS));
    expect(listener.gaps).toEqual([]);
  }
});

test('stream scans: retention removes events meanwhile, and the archive is lost: a gap for just what is missing, then the rest', async () => {
  const started = await start(EVENTS);
  const clients = returnAll(started);
  const first = await loseMeanwhile(started, clients);
  const had = clients.map(({ ids: received, cursor = started.first }) => ({
    received: [...received],
    cursor,
  }));
  await rm(started.database);
  await started.system.replay.restart();
  for (const [client, listener] of clients.entries()) {
    await until(() => listener.live, 'live', 20_000);
    const { received, cursor } = had[client] as (typeof had)[number];
    const left = ids(1, EVENTS).filter((id) => placeOf(client, Number(id)) >= first);
    const isComplete = received.length >= EVENTS - 1;
    expect(listener.ids).toEqual(isComplete ? received : [...received, ...left]);
    const gaps = listener.gaps.map(({ from, to, reason }) => ({
      from: sequenceOf(from),
      to: sequenceOf(to),
      reason,
    }));
    const gap = { from: sequenceOf(cursor), to: first - 1, reason: 'expired' };
    expect(gaps).toEqual(isComplete ? [] : [gap]);
  }
});
