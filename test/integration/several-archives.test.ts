import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { TRANSPORTS } from '../support/clients.ts';
import { freeze } from '../support/freeze.ts';
import type { Service } from '../support/services.ts';
import {
  ids,
  metric,
  type System,
  sequenceOf,
  series,
  startSystem,
  storeArchived,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { ask, askLines, askPage, type Page } from './replay-setup.ts';

/* Several replay services, each with an archive of its own (ARCHITECTURE.md). */

const TOPIC = 'archives';
const READERS = 20;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Archives {
  readonly system: System;
  /** The file of the archive that began with the log. */
  readonly oldFile: string;
  readonly youngFile: string;
}

/** A stream that keeps some 700 events and a tail of 100; the first archive gets everything. */
async function start(env: Readonly<Record<string, string>> = {}): Promise<Archives> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-archives-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const [oldFile, youngFile] = [join(folder, 'old.db'), join(folder, 'young.db')];
  const system = await startSystem({
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100',
      TIDEMARK_STREAM_MAX_BYTES: '300000',
      TIDEMARK_REPLAY_DATABASE: oldFile,
      ...env,
    },
  });
  cleanups.push(system.stop);
  return { system, oldFile, youngFile };
}

/** Starts a replay whose archive begins where the stream does, because the other one stands still. */
async function startYoung({ system, youngFile }: Archives): Promise<Service> {
  await freeze(system.replay.pid);
  const young = await system.startReplay({ TIDEMARK_REPLAY_DATABASE: youngFile });
  const { last } = await streamState(system.nats.url);
  await until(async () => (await metric(young, 'projection_position')) >= last, 'the young one');
  return young;
}

function thaw({ pid }: Service): void {
  process.kill(pid, 'SIGCONT');
}

/** Everything in an archive's file, with names in the place of their ids. */
function contents(file: string): Record<string, unknown[]> {
  const database = new Database(file, { readonly: true });
  try {
    const all = (sql: string) => database.prepare(sql).all();
    return {
      position: all('SELECT * FROM position'),
      missing: all('SELECT * FROM missing ORDER BY from_sequence'),
      events: all(
        `SELECT sequence, time_ms, t.name AS topic, y.name AS type, s.name AS source, json
         FROM events JOIN topics t ON t.id = topic_id JOIN types y ON y.id = type_id
         JOIN sources s ON s.id = source_id ORDER BY sequence`,
      ),
      ...Object.fromEntries(
        ['topics', 'types', 'sources'].map((table) => [
          table,
          all(
            `SELECT name, first_sequence, last_sequence, event_count FROM ${table} ORDER BY name`,
          ),
        ]),
      ),
    };
  } finally {
    database.close();
  }
}

/** Waits until a gateway can ask so many archives. */
async function untilArchives(gateway: Service, count: number): Promise<void> {
  await until(
    async () => (await metric(gateway, 'gateway_archives')) === count,
    `${count} archives`,
  );
}

async function untilFilled(young: Service): Promise<void> {
  await young.waitUntilReady();
  const page = async () => askPage(young, '/v1/events?limit=1').catch(() => undefined);
  await until(async () => (await page())?.gaps.length === 0, 'the other one is heard');
  // This needs all of the archive.
  await until(async () => (await ask(young, '/v1/topics')).status === 200, 'filled');
}

test('archives: an old one and a young one: twenty readers of each beginning get all, and no gap', async () => {
  const archives = await start();
  const { system } = archives;
  const stored = await storeArchived(system, series(TOPIC, 1, 3000));
  const young = await startYoung(archives);
  await untilArchives(system.gateway, 2);
  thaw(system.replay);
  const starts = Array.from({ length: READERS }, (_, index) =>
    Math.floor((index / READERS) * 2000),
  );
  const listeners = starts.map((n, index) =>
    system.listen(TRANSPORTS[index % 2] ?? 'sse', {
      topics: TOPIC,
      after: n === 0 ? 'earliest' : (stored[n - 1]?.cursor ?? ''),
      urls: [system.gateway.url],
    }),
  );
  for (const [index, listener] of listeners.entries()) {
    await until(() => listener.live, `live: ${JSON.stringify(listener.received.at(-1))}`);
    expect(listener.gaps).toEqual([]);
    expect(listener.ids).toEqual(ids((starts[index] ?? 0) + 1, 3000));
  }
  await untilFilled(young);
});

test('archives: the young one fills itself from the old one: both are equal, and keep it that way', async () => {
  const archives = await start();
  const { system, oldFile, youngFile } = archives;
  const topics = ['a', 'b.c', 'd'];
  const events = series(TOPIC, 1, 3000).map((event, index) => ({
    ...event,
    type: `type.${index % 7}`,
    topic: `${TOPIC}.${topics[index % 3]}`,
  }));
  await storeArchived(system, events);
  const young = await startYoung(archives);
  const before = contents(youngFile);
  expect(before.events?.length).toBeLessThan(1500);
  thaw(system.replay);
  // Live events go on meanwhile.
  const more = await storeArchived(system, series(`${TOPIC}.live`, 1, 200));
  await untilFilled(young);
  const last = sequenceOf(more.at(-1)?.cursor ?? '');
  await until(async () => (await metric(young, 'projection_position')) >= last, 'the end');
  expect(contents(youngFile)).toEqual(contents(oldFile));
  expect(contents(youngFile).events).toHaveLength(3200);
  expect(await metric(young, 'archive_filled_events_total')).toBe(
    3000 - (before.events?.length ?? 0),
  );
  // The old one is no longer needed.
  await system.replay.kill();
  const listener = system.listen('sse', { topics: `${TOPIC}.>`, after: 'earliest' });
  await until(() => listener.live);
  expect(listener.gaps).toEqual([]);
  expect(listener.events).toHaveLength(3200);
  expect(await askLines(young, '/v1/events')).toHaveLength(3201);
});

test('archives: one was away while events left the stream: it gets them from the other', async () => {
  const archives = await start();
  const { system, oldFile, youngFile } = archives;
  await storeArchived(system, series(TOPIC, 1, 300));
  const young = await system.startReplay({ TIDEMARK_REPLAY_DATABASE: youngFile });
  await untilFilled(young);
  await young.kill();
  await storeArchived(system, series(TOPIC, 301, 3000));
  expect((await streamState(system.nats.url)).first).toBeGreaterThan(1000);
  await young.restart();
  await until(() => JSON.stringify(contents(youngFile)) === JSON.stringify(contents(oldFile)));
});

test('history: a part that only another archive has: 503 until it is here, never a gap', async () => {
  const archives = await start();
  const { system } = archives;
  const stored = await storeArchived(system, series(TOPIC, 1, 3000));
  const { first } = await streamState(system.nats.url);
  const young = await startYoung(archives);
  await young.waitUntilReady();
  // The old one hung when this one began, which has never heard it.
  const end = stored[first - 11]?.cursor;
  for (const path of ['/v1/events', '/v1/events?after=earliest', `/v1/events?after=${end}`]) {
    const { status, headers } = await ask(young, path);
    expect([path, status, headers.get('retry-after')]).toEqual([path, 503, '1']);
  }
  thaw(system.replay);
  const pages: Page[] = [];
  await until(async () => {
    const { status, text } = await ask(young, `/v1/events?after=${end}&limit=20`);
    if (status === 200) pages.push(JSON.parse(text) as Page);
    else expect(status).toBe(503);
    return status === 200;
  });
  expect(pages[0]?.gaps).toEqual([]);
  const { headers } = await ask(young, '/v1/events?limit=1');
  expect(headers.get('tidemark-position')).toBe(stored.at(-1)?.cursor);
  const [whole, other] = await Promise.all([
    askLines(young, '/v1/events'),
    askLines(system.replay, '/v1/events'),
  ]);
  expect(whole).toEqual(other);
});

test('archives: the only one is away when a gateway starts: readers wait and get no gap; then all arrives', async () => {
  const { system } = await start();
  await storeArchived(system, series(TOPIC, 1, 3000));
  await system.replay.kill();
  const gateway = await system.startGateway({ TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100' });
  const listeners = TRANSPORTS.map((transport) => {
    return system.listen(transport, { urls: [gateway.url], topics: TOPIC, after: 'earliest' });
  });
  await sleep(4000);
  for (const { received } of listeners) expect(received).toEqual([]);
  await system.replay.restart();
  for (const listener of listeners) {
    await until(() => listener.live);
    expect(listener.gaps).toEqual([]);
    expect(listener.ids).toEqual(ids(1, 3000));
  }
});

test('archives: the one that holds the range hangs: readers wait and get no gap; then all arrives', async () => {
  const archives = await start();
  const { system } = archives;
  await storeArchived(system, series(TOPIC, 1, 3000));
  const young = await startYoung(archives);
  await untilArchives(system.gateway, 2);
  await untilArchives(system.gateway, 1);
  const listener = system.listen('websocket', { topics: TOPIC, after: 'earliest' });
  await until(() => listener.cursor !== undefined);
  await sleep(3000);
  expect(listener.received).toEqual([]);
  thaw(system.replay);
  await until(() => listener.live);
  expect(listener.gaps).toEqual([]);
  expect(listener.ids).toEqual(ids(1, 3000));
  await untilFilled(young);
});

test('replay hangs, the only one: many catch-ups from the stream are quick; thawed, it is used again', async () => {
  const archives = await start({
    TIDEMARK_STREAM_MAX_BYTES: '0',
    TIDEMARK_GATEWAY_COLD_READS_MAX: '4',
  });
  const { system } = archives;
  const stored = await storeArchived(system, series(TOPIC, 1, 1000));
  await freeze(system.replay.pid);
  const catchUp = async (): Promise<number> => {
    const startMs = performance.now();
    // Each from a place of its own, so that no read is shared.
    const listeners = Array.from({ length: 40 }, (_, index) =>
      system.listen(TRANSPORTS[index % 2] ?? 'sse', {
        topics: TOPIC,
        after: stored[index * 5]?.cursor ?? '',
      }),
    );
    for (const [index, listener] of listeners.entries()) {
      await until(() => listener.live);
      expect(listener.ids).toEqual(ids(index * 5 + 2, 1000));
      await listener.stop();
    }
    return performance.now() - startMs;
  };
  // Until it has been silent for some seconds, reads wait for it; one time-out for each would take minutes.
  expect(await catchUp()).toBeLessThan(10_000);
  expect(await metric(system.gateway, 'gateway_archives')).toBe(0);
  expect(await catchUp()).toBeLessThan(3000);

  thaw(system.replay);
  await untilArchives(system.gateway, 1);
  const fromArchive = () => catchUpsFromArchive(system.gateway);
  const before = await fromArchive();
  await until(
    async () => {
      await catchUp();
      return (await fromArchive()) > before;
    },
    () => 'the archive is used again',
  );
}, 60_000);

test('replay hangs, one of two: the other serves what has left the stream, without a wait for each', async () => {
  const archives = await start();
  const { system, youngFile } = archives;
  const stored = await storeArchived(system, series(TOPIC, 1, 2000));
  const young = await system.startReplay({ TIDEMARK_REPLAY_DATABASE: youngFile });
  await untilFilled(young);
  await untilArchives(system.gateway, 2);
  await freeze(system.replay.pid);
  const startMs = performance.now();
  const listeners = Array.from({ length: READERS }, (_, index) =>
    system.listen(TRANSPORTS[index % 2] ?? 'sse', {
      topics: TOPIC,
      after: stored[index]?.cursor ?? '',
    }),
  );
  for (const [index, listener] of listeners.entries()) {
    await until(() => listener.live);
    expect(listener.ids).toEqual(ids(index + 2, 2000));
    expect(listener.gaps).toEqual([]);
  }
  expect(performance.now() - startMs).toBeLessThan(10_000);
  thaw(system.replay);
  await untilArchives(system.gateway, 2);
});

async function catchUpsFromArchive({ url }: Service): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text
    .split('\n')
    .filter((one) => /^tidemark_gateway_catch_ups_ended_total\{.*tier="archive"/.test(one));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
