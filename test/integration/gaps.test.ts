import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, expect, test } from 'vitest';
import { type Received, TRANSPORTS, untilEvents } from '../support/clients.ts';
import { freeze } from '../support/freeze.ts';
import {
  epochOf,
  ids,
  metric,
  numbered,
  type System,
  type SystemOptions,
  sequenceOf,
  series,
  startSystem,
  streamState,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

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

interface HistoryAnswer {
  readonly items: readonly { readonly event: { readonly id: string } }[];
  readonly gaps: readonly unknown[];
}

/** `live` comes once, but where it stands among the rest is a matter of moments. */
function withoutLive(received: readonly Received[]): unknown[] {
  return outline(received.filter(({ type }) => type !== 'live'));
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
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '200',
      TIDEMARK_REPLAY_DATABASE: database,
      // The archive that is deleted counts as one that is away, and may come back.
      TIDEMARK_ARCHIVE_ABSENCE_SECONDS: '1',
    },
  });
  // Clients that receive nothing: heartbeats keep them out of what is lost.
  const quiet = TRANSPORTS.map((transport) => system.listen(transport, { topics: 'quiet' }));
  for (const listener of quiet) await until(() => listener.live);
  const stored = await system.publisher.storeAll(series(TOPIC, 1, 1000));
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
  await freeze(system.replay.pid);
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

test('gap: epoch: stream deleted under live and returning clients: told, then the new one', async () => {
  const system = await start({
    env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10', TIDEMARK_GATEWAY_COLD_READS_MAX: '1' },
  });
  const old = await system.publisher.storeAll(series(TOPIC, 1, 100));
  const live = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: 'earliest' }),
  );
  for (const listener of live) await until(() => listener.live);
  await system.replay.kill('SIGKILL');
  await withNats(system.nats.url, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
  });
  // Their reads of what is gone hold all places until the gateway has seen the new stream.
  const [, , third, fourth] = old;
  const catchingUp = [third, fourth].map((from, index) =>
    system.listen(TRANSPORTS[index] ?? 'sse', { topics: TOPIC, after: from?.cursor ?? '' }),
  );
  for (const listener of catchingUp) await until(() => listener.cursor !== undefined);
  await system.replay.restart();

  const fresh = await system.publisher.storeAll(series(TOPIC, 101, 150));
  const epoch = fresh[0]?.cursor.split('-')[0];
  expect(fresh.map(({ cursor }) => cursor)).toEqual(ids(1, 50).map((n) => `${epoch}-${n}`));
  expect(old[0]?.cursor.startsWith(`${epoch}-`)).toBe(false);
  const gap = { type: 'gap', to: `${epoch}-0`, reason: 'epoch' };
  const told = (from: string | undefined) => [{ ...gap, from }, ...ids(101, 150)];
  for (const listener of live) {
    await until(() => listener.ids.length === 150, 'the new events', NOTICE_MS);
    const end = old[99]?.cursor;
    expect(outline(listener.received)).toEqual([
      ...ids(1, 100),
      { type: 'live', cursor: end },
      ...told(end),
    ]);
    expect(listener.connections).toBe(1);
  }
  for (const [index, listener] of catchingUp.entries()) {
    await until(() => listener.live && listener.ids.at(-1) === '150');
    // The restarted replay may answer them from its old archive before it looks at the new stream.
    const first = index + 3;
    const before = listener.ids.length - 50;
    expect(withoutLive(listener.received)).toEqual([
      ...ids(first + 1, first + before),
      ...told(old[first - 1 + before]?.cursor),
    ]);
  }
  for (const transport of TRANSPORTS) {
    for (const after of [old[4]?.cursor, 'earliest']) {
      const later = system.listen(transport, { topics: TOPIC, after: after ?? '' });
      await until(() => later.live);
      const expected = after === 'earliest' ? ids(101, 150) : told(after);
      expect(outline(later.received).slice(0, -1)).toEqual(expected);
    }
  }
}, 60_000);

/** A system with ten events, and a server that can be put back to that moment, as by a crash. */
async function startThatCanLose() {
  const system = await start();
  const copy = join(await temporaryFolder(), 'store');
  const kept = await system.publisher.storeAll(series(TOPIC, 1, 10));
  await system.nats.kill('SIGKILL');
  await cp(system.nats.storeFolder, copy, { recursive: true });
  await system.nats.restart();
  await system.gateway.waitUntilReady();
  const loseEnd = async (): Promise<void> => {
    await system.nats.kill('SIGKILL');
    await rm(system.nats.storeFolder, { recursive: true });
    await cp(copy, system.nats.storeFolder, { recursive: true });
    await system.nats.restart();
  };
  return { system, kept, loseEnd };
}

test('gap: future: the log lost its end in a crash: who had it is told, then all goes on', async () => {
  const { system, kept, loseEnd } = await startThatCanLose();
  const connected = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: kept[4]?.cursor ?? '' }),
  );
  const lost = await system.publisher.storeAll(series(TOPIC, 11, 15));
  for (const listener of connected) await untilEvents(listener, 10);
  await until(async () => (await metric(system.replay, 'projection_position')) === 15);

  await loseEnd();
  await system.gateway.waitUntilReady();
  const returning = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: lost[4]?.cursor ?? '' }),
  );
  for (const listener of returning) await until(() => listener.live);
  const [next] = await system.publisher.storeInOrder(series(TOPIC, 16, 18));
  // The log goes on in a new epoch, right after the last event that it kept.
  expect(sequenceOf(next?.cursor)).toBe(11);
  const to = `${epochOf(next?.cursor)}-10`;
  expect(epochOf(to)).not.toBe(epochOf(kept[9]?.cursor));
  const gap = { type: 'gap', from: lost[4]?.cursor, to, reason: 'future' };
  for (const listener of connected) {
    await until(() => listener.ids.includes('18'));
    expect(withoutLive(listener.received)).toEqual([...ids(6, 15), gap, ...ids(16, 18)]);
    expect(listener.connections).toBe(1);
  }
  for (const listener of returning) {
    await until(() => listener.ids.includes('18'));
    const live = { type: 'live', cursor: to };
    expect(outline(listener.received)).toEqual([gap, live, ...ids(16, 18)]);
  }
});

test('gap: future: the log lost its end and grew past it before the gateway looked: told all the same', async () => {
  const { system, kept, loseEnd } = await startThatCanLose();
  const listeners = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: kept[4]?.cursor ?? '' }),
  );
  const lost = await system.publisher.storeAll(series(TOPIC, 11, 15));
  for (const listener of listeners) await untilEvents(listener, 10);
  await until(async () => (await metric(system.replay, 'projection_position')) === 15);

  await freeze(system.gateway.pid);
  await loseEnd();
  // Sequences 11 to 25: the gateway knows other events under the first five of them.
  await system.publisher.storeInOrder(series(TOPIC, 16, 30));
  process.kill(system.gateway.pid, 'SIGCONT');
  const from = lost[4]?.cursor;
  for (const listener of listeners) {
    await until(() => listener.ids.includes('30'));
    const to = `${epochOf(listener.cursor)}-10`;
    const gap = { type: 'gap', from, to, reason: 'future' };
    expect(withoutLive(listener.received)).toEqual([...ids(6, 15), gap, ...ids(16, 30)]);
    expect(listener.connections).toBe(1);
  }
});

test('gap: future: away while the log lost its end and grew past it: told exactly what is lost', async () => {
  const { system, kept, loseEnd } = await startThatCanLose();
  const lost = await system.publisher.storeAll(series(TOPIC, 11, 15));
  await until(async () => (await metric(system.replay, 'projection_position')) === 15);
  await system.gateway.kill('SIGKILL');
  await loseEnd();
  await until(async () => (await metric(system.replay, 'projection_position')) === 10);
  const later = await system.publisher.storeInOrder(series(TOPIC, 16, 30));
  await system.gateway.restart();

  const epoch = epochOf(later[0]?.cursor);
  const gap = { type: 'gap', from: lost[2]?.cursor, to: `${epoch}-10`, reason: 'future' };
  for (const transport of TRANSPORTS) {
    // Its cursor is the thirteenth, which names another event now.
    const after = lost[2]?.cursor ?? '';
    const ahead = system.listen(transport, { topics: TOPIC, after });
    await until(() => ahead.live);
    expect(withoutLive(ahead.received)).toEqual([gap, ...ids(16, 30)]);
    // What the log kept is still where it was.
    const behind = system.listen(transport, { topics: TOPIC, after: kept[6]?.cursor ?? '' });
    await until(() => behind.live);
    expect(withoutLive(behind.received)).toEqual([...ids(8, 10), ...ids(16, 30)]);
  }
  const history = await fetch(
    `${system.replay.url}/v1/events?topics=${TOPIC}&after=${lost[2]?.cursor}`,
    { headers: { authorization: `Bearer ${system.token}` } },
  );
  const { items, gaps } = (await history.json()) as HistoryAnswer;
  const { type: _, ...told } = gap;
  expect(gaps).toEqual([told]);
  expect(items.map(({ event }) => event.id)).toEqual(ids(16, 30));
});

test('the log lost its end and replay is late: appends wait for the new epoch, and their cursors stay valid', async () => {
  const { system, loseEnd } = await startThatCanLose();
  await system.publisher.storeAll(series(TOPIC, 11, 15));
  await until(async () => (await metric(system.replay, 'projection_position')) === 15);
  await freeze(system.replay.pid);
  await loseEnd();
  const later = system.publisher.storeInOrder(series(TOPIC, 16, 30));
  await sleep(1000);
  process.kill(system.replay.pid, 'SIGCONT');
  const [first] = await later;
  expect(sequenceOf(first?.cursor)).toBe(11);
  await system.gateway.waitUntilReady();
  for (const transport of TRANSPORTS) {
    const listener = system.listen(transport, { topics: TOPIC, after: first?.cursor ?? '' });
    await until(() => listener.live);
    // The gateway may still be on its way into the new epoch, and say so.
    const told = withoutLive(listener.received).filter((one) => typeof one === 'string');
    expect(told).toEqual(ids(17, 30));
    expect(listener.received.filter(({ type }) => type === 'gap')).toEqual([]);
  }
});

test('epoch: the stream is made anew while a client publishes: its cursors are of the new one', async () => {
  const system = await start();
  const client = new WebSocketClient(system.gateway.url, { token: system.token });
  cleanups.push(() => client.close());
  const publish = async (n: number): Promise<string> => {
    const id = `p${n}`;
    client.send({ type: 'publish', id, event: numbered(TOPIC, n) });
    return (await client.first('published', id)).cursor;
  };
  const old = [await publish(1), await publish(2), await publish(3)];
  await system.replay.kill('SIGKILL');
  await withNats(system.nats.url, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
  });
  await system.replay.restart();
  // At once: the gateway's feed learns of the new stream only seconds later.
  const [first, second] = [await publish(4), await publish(5)];
  const stored = await system.publisher.store(numbered(TOPIC, 6));
  const [epoch] = stored.cursor.split('-');
  expect(old[0]?.startsWith(`${epoch}-`)).toBe(false);
  expect([first, second, stored.cursor]).toEqual(ids(1, 3).map((n) => `${epoch}-${n}`));
});
