import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, describe, expect, test } from 'vitest';
import { type Received, TRANSPORTS, untilEvents } from '../support/clients.ts';
import {
  ids,
  metric,
  numbered,
  type System,
  type SystemOptions,
  series,
  startSystem,
  streamState,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* Promise 3 where the log lost something: it says what, and goes on at the first event there is. */

const TOPIC = 'gaps';

/** A gateway notices within two silent heartbeats of its consumer that the stream is gone. */
const NOTICE_MS = 20_000;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: SystemOptions = {}): Promise<System> {
  const system = await startSystem(options);
  cleanups.push(system.stop);
  return system;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-gaps-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Events by id, everything else as it is. */
function outline(received: readonly Received[]): unknown[] {
  return received.map((one) => (one.type === 'event' ? one.event.id : one));
}

test('gap: expired: stream and archive lost it: the range is told, then exactly the rest', async () => {
  const database = join(await temporaryFolder(), 'archive.db');
  const system = await start({
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100',
      TIDEMARK_STREAM_MAX_BYTES: '200000',
      TIDEMARK_REPLAY_DATABASE: database,
    },
  });
  const stored = await system.publisher.storeAll(series(TOPIC, 1, 1000));
  const quiet = TRANSPORTS.map((transport) => system.listen(transport, { topics: 'quiet' }));
  for (const listener of quiet) {
    await until(() => listener.cursor === stored.at(-1)?.cursor);
    await listener.stop();
  }
  await system.replay.kill();
  await rm(database);
  await system.replay.restart();
  const { first } = await streamState(system.nats.url);
  expect(first).toBeGreaterThan(100);

  const from = stored[9]?.cursor;
  const to = stored[first - 2]?.cursor;
  for (const transport of TRANSPORTS) {
    const listener = system.listen(transport, { topics: TOPIC, after: from ?? '' });
    await until(() => listener.live);
    expect(outline(listener.received)).toEqual([
      { type: 'gap', from, to, reason: 'expired' },
      ...ids(first, 1000),
      { type: 'live', cursor: stored.at(-1)?.cursor },
    ]);
    // Of the topics that were asked for nothing may have been in the range: that is not known.
    const earliest = system.listen(transport, { topics: TOPIC, after: 'earliest' });
    await until(() => earliest.live);
    expect(earliest.gaps).toEqual([]);
    expect(earliest.ids).toEqual(ids(first, 1000));
  }
  for (const { transport, cursor = '' } of quiet) {
    const listener = system.listen(transport, { topics: 'quiet', after: cursor });
    await until(() => listener.live);
    expect(listener.gaps).toEqual([]);
  }
});

test('gap: expired: retention overtook the archive: told in its place, the rest arrives', async () => {
  const system = await start({
    env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100', TIDEMARK_STREAM_MAX_BYTES: '200000' },
  });
  const early = await system.publisher.storeAll(series(TOPIC, 1, 100));
  await until(async () => (await metric(system.replay, 'projection_position')) === 100);
  process.kill(system.replay.pid, 'SIGSTOP');
  await system.publisher.storeAll(series(TOPIC, 101, 1500));
  const { first } = await streamState(system.nats.url);
  expect(first).toBeGreaterThan(200);
  await system.replay.kill('SIGKILL');
  await system.replay.restart();
  const gap = {
    type: 'gap',
    from: early[99]?.cursor,
    to: early[0]?.cursor.replace(/1$/, String(first - 1)),
    reason: 'expired',
  };
  for (const transport of TRANSPORTS) {
    const listener = system.listen(transport, { topics: TOPIC, after: 'earliest' });
    await until(() => listener.live);
    const told = outline(listener.received).slice(0, -1);
    expect(told).toEqual([...ids(1, 100), gap, ...ids(first, 1500)]);
  }
});

test('gap: epoch: stream deleted while all run: told, then the new stream from its start', async () => {
  const system = await start();
  const old = await system.publisher.storeAll(series(TOPIC, 1, 20));
  const connected = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: 'earliest' }),
  );
  for (const listener of connected) await untilEvents(listener, 20);

  await withNats(system.nats.url, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
  });
  const fresh = await system.publisher.storeAll(series(TOPIC, 21, 25));
  const [first] = fresh;
  const epoch = first?.cursor.split('-')[0];
  expect(fresh.map(({ cursor }) => cursor)).toEqual(ids(1, 5).map((n) => `${epoch}-${n}`));
  expect(old[0]?.cursor.startsWith(`${epoch}-`)).toBe(false);

  const gap = { type: 'gap', to: `${epoch}-0`, reason: 'epoch' };
  for (const listener of connected) {
    await until(() => listener.ids.length === 25, 'the new events', NOTICE_MS);
    expect(outline(listener.received)).toEqual([
      ...ids(1, 20),
      { type: 'live', cursor: old[19]?.cursor },
      { ...gap, from: old[19]?.cursor },
      ...ids(21, 25),
    ]);
    expect(listener.connections).toBe(1);
  }
  for (const transport of TRANSPORTS) {
    const after = old[4]?.cursor ?? '';
    const returning = system.listen(transport, { topics: TOPIC, after });
    await until(() => returning.live);
    expect(outline(returning.received)).toEqual([
      { ...gap, from: after },
      ...ids(21, 25),
      { type: 'live', cursor: fresh[4]?.cursor },
    ]);
  }
}, 60_000);

test('gap: epoch: stream deleted during catch-ups: told, and later catch-ups are served', async () => {
  const system = await start({
    env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10', TIDEMARK_GATEWAY_COLD_READS_MAX: '1' },
  });
  const old = await system.publisher.storeAll(series(TOPIC, 1, 100));
  await system.replay.kill('SIGKILL');
  await withNats(system.nats.url, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
  });
  const waiting = TRANSPORTS.map((transport, index) =>
    system.listen(transport, { topics: TOPIC, after: old[index]?.cursor ?? '' }),
  );
  for (const listener of waiting) await until(() => listener.cursor !== undefined);
  await system.replay.restart();
  await system.publisher.storeAll(series(TOPIC, 101, 150));
  for (const [index, listener] of waiting.entries()) {
    await until(() => listener.ids.length === 50, 'the new events', NOTICE_MS);
    expect(listener.ids).toEqual(ids(101, 150));
    expect(listener.gaps).toMatchObject([{ from: old[index]?.cursor, reason: 'epoch' }]);
    const later = system.listen(listener.transport, { topics: TOPIC, after: 'earliest' });
    await until(() => later.live);
    expect(later.ids).toEqual(ids(101, 150));
  }
}, 60_000);

describe('gap: future', () => {
  test('the log lost its end in a crash: those who had it are told, then all goes on', async () => {
    const system = await start();
    const copy = join(await temporaryFolder(), 'store');
    const kept = await system.publisher.storeAll(series(TOPIC, 1, 10));
    await system.nats.kill('SIGKILL');
    await cp(system.nats.storeFolder, copy, { recursive: true });
    await system.nats.restart();
    await system.gateway.waitUntilReady();
    const connected = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics: TOPIC, after: kept[4]?.cursor ?? '' }),
    );
    const lost = await system.publisher.storeAll(series(TOPIC, 11, 15));
    for (const listener of connected) await untilEvents(listener, 10);

    await system.nats.kill('SIGKILL');
    await rm(system.nats.storeFolder, { recursive: true });
    await cp(copy, system.nats.storeFolder, { recursive: true });
    await system.nats.restart();
    await system.gateway.waitUntilReady();
    const gap = {
      type: 'gap',
      from: lost[4]?.cursor,
      to: kept[9]?.cursor,
      reason: 'future',
    };
    const returning = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics: TOPIC, after: lost[4]?.cursor ?? '' }),
    );
    for (const listener of returning) await until(() => listener.live);
    await system.publisher.storeAll(series(TOPIC, 16, 18));
    for (const listener of connected) {
      await until(() => listener.ids.includes('18'));
      const parts = outline(listener.received).filter((one) => {
        return typeof one === 'string' || (one as Received).type !== 'live';
      });
      expect(parts).toEqual([...ids(6, 15), gap, ...ids(16, 18)]);
      expect(listener.connections).toBe(1);
    }
    for (const listener of returning) {
      await until(() => listener.ids.includes('18'));
      const live = { type: 'live', cursor: kept[9]?.cursor };
      expect(outline(listener.received)).toEqual([gap, live, ...ids(16, 18)]);
    }
  });

  test('a cursor that was never given: told at once, then live', async () => {
    const system = await start();
    const [first] = await system.publisher.storeAll([numbered(TOPIC, 1)]);
    const cursor = first?.cursor ?? '';
    const from = cursor.replace(/1$/, '9007199254740991');
    for (const transport of TRANSPORTS) {
      const listener = system.listen(transport, { topics: TOPIC, after: from });
      await until(() => listener.live);
      expect(listener.received).toEqual([
        { type: 'gap', from, to: cursor, reason: 'future' },
        { type: 'live', cursor },
      ]);
    }
  });
});
