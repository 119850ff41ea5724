import { jetstreamManager } from '@nats-io/jetstream';
import { EventAppender, NatsLink, STREAM_NAME } from '@tidemark/nats';
import { type Erasure, parseCursor, toErasureEvent } from '@tidemark/protocol';
import { createLogger, Metrics, startTracing } from '@tidemark/telemetry';
import { afterEach, expect, test } from 'vitest';
import { erase, filesWith } from '../support/erasures.ts';
import { startNatsServer } from '../support/nats-server.ts';
import { startService } from '../support/services.ts';
import {
  ids,
  type System,
  series,
  startSystem,
  storeArchived,
  streamState,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { askPage, until as untilEnd, untilProjected } from './replay-setup.ts';

/* Erasures (PROTOCOL.md section 13.3) while services are away, are killed, or come too late. */

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(env: Record<string, string> = {}): Promise<System> {
  const system = await startSystem({ env });
  cleanups.push(() => system.stop());
  return system;
}

/** Reads a topic from the beginning, at a gateway and at the replay service. */
async function expectEverywhere(system: System, topic: string, expected: readonly string[]) {
  const listener = system.listen('websocket', { topics: topic, after: 'earliest' });
  await until(() => listener.live);
  expect(listener.ids).toEqual(expected);
  expect(listener.gaps).toEqual([]);
  await listener.stop();
  // The archive is a moment behind.
  await untilProjected(system.replay, (await streamState(system.nats.url)).last);
  const { items, gaps } = await askPage(system.replay, `/v1/events?topics=${topic}&limit=1000`);
  expect(items.map(({ event }) => event.id)).toEqual(expected);
  expect(gaps).toEqual([]);
}

/** Stores the record of an erasure as a replay service does. */
async function storeRecord({ nats }: System, erasure: Erasure): Promise<void> {
  const logger = createLogger('test', 'silent');
  const link = await new NatsLink({ servers: nats.url, name: 'test', logger }).connect();
  const stopping = new AbortController();
  const { tracer } = await startTracing({ service: 'test', environment: {}, logger });
  const appender = new EventAppender(link, {
    service: 'test',
    timeoutMs: 5000,
    pendingMax: 1,
    logger,
    metrics: new Metrics('test', { defaults: false }),
    tracer,
    signal: stopping.signal,
  });
  const parts = { id: 'record', reason: 'asked to', by: 'operator', nowMs: Date.now() };
  await until(() => appender.streamKnown);
  await appender.append(toErasureEvent({ ...parts, erasure }));
  stopping.abort();
  await link.close();
}

test('events that have left the stream: they are erased from the archive, and that is complete', async () => {
  const system = await start({ TIDEMARK_STREAM_MAX_BYTES: '100000' });
  const stored = await storeArchived(system, series('left', 1, 5));
  for (let n = 1; (await streamState(system.nats.url)).first < 6; n += 100) {
    await storeArchived(system, series('more', n, n + 99));
  }
  expect(await erase(system.replay, { cursor: stored[1]?.cursor })).toMatchObject({
    ...{ status: 200, events: 1, complete: true },
  });
  expect(await erase(system.replay, { topic: 'left' })).toMatchObject({ status: 200, events: 4 });
}, 30_000);

test('replay, killed in the middle of an erasure: goes on with it at its next start', async () => {
  const system = await start();
  await storeArchived(system, series('big', 1, 1500));
  await system.replay.kill();
  // It was killed right after it had stored the record.
  await storeRecord(system, { topic: 'big' });
  const left = async () => (await streamState(system.nats.url)).messages;
  expect(await left()).toBe(1501);
  expect(filesWith('lorem ipsum', system, [system.replay]).length).toBeGreaterThan(1);
  await system.replay.restart();
  // And again, wherever it is by now.
  await untilEnd(async () => (await left()) < 1501);
  await system.replay.kill();
  await system.replay.restart();
  // The record and its notice.
  await untilEnd(async () => (await left()) === 2);
  await untilEnd(() => filesWith('lorem ipsum', system, [system.replay]).length === 0);
  await expectEverywhere(system, 'big', []);
}, 120_000);

test('everybody was away while events were erased: their holes are neither gaps nor losses', async () => {
  const system = await start();
  const stored = await storeArchived(system, series('holes', 1, 60));
  const other = await system.startReplay();
  await other.waitUntilReady();
  // It has the first half, and will find holes at its end.
  await other.kill();
  await system.gateway.kill();
  stored.push(...(await storeArchived(system, series('holes', 61, 120))));
  const gone = [59, 60, 61, 62, 80, 90, 91, 92, 119, 120];
  for (const n of gone) {
    const answer = await erase(system.replay, { cursor: stored[n - 1]?.cursor });
    expect(answer).toMatchObject({ status: 200, events: 1, complete: true });
  }
  await storeArchived(system, series('holes', 121, 130));
  await system.gateway.restart();
  await other.restart();
  // A young archive reads the stream from its beginning.
  const young = await system.startReplay();
  await young.waitUntilReady();
  const expected = ids(1, 130).filter((id) => !gone.includes(Number(id)));
  const { last } = await streamState(system.nats.url);
  for (const replay of [other, young]) {
    await untilProjected(replay, last);
    await until(async () => {
      const { items, gaps } = await askPage(replay, '/v1/events?topics=holes&limit=1000');
      expect(gaps).toEqual([]);
      return items.length === expected.length;
    });
  }
  await expectEverywhere(system, 'holes', expected);
  for (const replay of [system.replay, other, young]) {
    const texts = replay.logs.map(({ msg }) => msg);
    expect(texts).not.toContain('the log lost its end: it has a new epoch');
  }
}, 120_000);

test('a gateway that lost NATS while its last events were erased: goes on without a gap, and so does ingest', async () => {
  const system = await start();
  const listener = system.listen('sse', { topics: 'cut' });
  await until(() => listener.live);
  const stored = await storeArchived(system, series('cut', 1, 20));
  await until(() => listener.ids.length === 20);
  const epoch = parseCursor(stored[0]?.cursor ?? '').epoch;
  for (const n of [18, 19, 20]) await erase(system.replay, { cursor: stored[n - 1]?.cursor });
  await system.nats.kill();
  const away = await erase(system.replay, { cursor: stored[0]?.cursor });
  expect(away).toMatchObject({ status: 503, code: 'unavailable' });
  await system.nats.restart();
  const startMs = performance.now();
  const [next] = await system.publisher.storeInOrder(series('cut', 21, 21));
  // Ingest does not take the erased event, which it had stored last, for a loss.
  expect(performance.now() - startMs).toBeLessThan(10_000);
  expect(parseCursor(next?.cursor ?? '').epoch).toBe(epoch);
  await until(() => listener.ids.length === 21);
  expect(listener.gaps).toEqual([]);
  await expectEverywhere(system, 'cut', [...ids(1, 17), '21']);
});

test('a stream that denies deletions: 409 that says so, nothing is recorded, and all else works', async () => {
  const nats = await startNatsServer();
  cleanups.push(() => nats.stop());
  await withNats(nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    const subjects = ['tidemark.events.>'];
    await streams.add({ name: STREAM_NAME, subjects, deny_delete: true, deny_purge: true });
  });
  const replay = await startService('replay', { natsUrl: nats.url });
  cleanups.push(() => replay.stop());
  const { last } = await streamState(nats.url);
  const answer = await erase(replay, { topic: 'any' });
  expect(answer).toMatchObject({ status: 409, code: 'not_erasable' });
  expect((await streamState(nats.url)).last).toBe(last);
  expect(replay.logs.filter(({ msg }) => msg === 'the stream could not be set up')).toEqual([]);
});
