import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type Gap, type Message, memoryStore, type Tidemark } from '@tidemark/client';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, expect, test } from 'vitest';
import {
  ids,
  type System,
  type SystemOptions,
  sequenceOf,
  series,
  startSystem,
  storeArchived,
  streamState,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* What the client library makes of a log that has lost something (PROTOCOL.md section 5). */

const TOPIC = 'gaps';
/** A gateway notices within two silent heartbeats of its consumer that the stream is gone. */
const NOTICE_MS = 20_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: SystemOptions = {}): Promise<System> {
  const system = await startSystem(options);
  cleanups.push(system.stop);
  return system;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-client-gaps-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function open(system: System, options: Partial<Parameters<typeof connect>[0]> = {}): Tidemark {
  const { gateway, ingest, token } = system;
  const client = connect({ url: gateway.url, ingestUrl: ingest.url, token, ...options });
  cleanups.push(() => client.close());
  return client;
}

/** Events by id, gaps as they are. What is live is a matter of moments. */
function follow(messages: AsyncIterable<Message>): (string | Gap)[] {
  const got: (string | Gap)[] = [];
  void (async () => {
    for await (const message of messages) {
      if (message.type === 'event') got.push(message.event.id);
      if (message.type !== 'gap') continue;
      const { from, to, reason } = message;
      got.push({ from, to, reason });
    }
  })().catch((error: unknown) => got.push(String(error)));
  return got;
}

test('client: gap: expired: who comes back at a stored cursor is told, and gets exactly the rest', async () => {
  const database = join(await temporaryFolder(), 'archive.db');
  const system = await start({
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100',
      TIDEMARK_STREAM_MAX_BYTES: '200000',
      TIDEMARK_REPLAY_DATABASE: database,
      // The archive that is deleted counts as one that is away, and may come back.
      TIDEMARK_ARCHIVE_ABSENCE_SECONDS: '1',
    },
  });
  const store = memoryStore();
  const stored = await system.publisher.storeAll(series(TOPIC, 1, 10));
  const before = open(system, { store });
  const got = follow(before.subscribe(TOPIC, { after: 'earliest', name: 'mine' }).messages());
  await until(() => got.length === 10 && store.get('mine') === stored[9]?.cursor);
  before.close();
  stored.push(...(await system.publisher.storeAll(series(TOPIC, 11, 1000))));
  await system.replay.kill();
  await rm(database);
  await system.replay.restart();
  const { first } = await streamState(system.nats.url);
  expect(first).toBeGreaterThan(100);

  const subscription = open(system, { store }).subscribe(TOPIC, { name: 'mine' });
  const heard: Gap[] = [];
  subscription.on('gap', ({ from, to, reason }) => heard.push({ from, to, reason }));
  const rest = follow(subscription.messages());
  const gap = { from: stored[9]?.cursor, to: stored[first - 2]?.cursor, reason: 'expired' };
  await until(() => rest.at(-1) === '1000');
  expect(rest).toEqual([gap, ...ids(first, 1000)]);
  expect(heard).toEqual([gap]);
  await until(() => store.get('mine') === stored.at(-1)?.cursor);
});

test('client: gap: epoch: while connected, and then: told, a state is read again, all goes on', async () => {
  const system = await start();
  const old = await system.publisher.storeAll(series(TOPIC, 1, 10));
  const client = open(system);
  const got = follow(client.subscribe(TOPIC, { after: 'earliest' }).messages());
  let reads = 0;
  const joined = client.join({
    topics: TOPIC,
    fetchState: async () => [`read ${++reads}`],
    apply: (state, { id }) => [...state, id],
  });
  const snapshot = client.snapshot(TOPIC);
  await Promise.all([joined.ready, snapshot.ready]);
  await until(() => got.length === 10);
  await system.replay.kill('SIGKILL');
  await withNats(system.nats.url, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(STREAM_NAME);
  });
  await system.replay.restart();
  const fresh = await system.publisher.storeAll(series(TOPIC, 11, 20));
  await until(() => got.at(-1) === '20', 'the new events', NOTICE_MS);
  const to = fresh[0]?.cursor.replace(/-1$/, '-0');
  expect(got).toEqual([
    ...ids(1, 10),
    { from: old[9]?.cursor, to, reason: 'epoch' },
    ...ids(11, 20),
  ]);
  await until(() => reads === 2, 'the state to be read again');
  // What was stored before it was read again may be in it, or come as changes.
  await system.publisher.storeAll(series(TOPIC, 21, 22));
  await until(() => joined.state?.at(-1) === '22' && snapshot.topics.get(TOPIC)?.id === '22');
  expect(joined.state?.[0]).toBe('read 2');

  const after = old[3]?.cursor ?? '';
  const later = follow(open(system).subscribe(TOPIC, { after }).messages());
  await until(() => later.at(-1) === '22');
  expect(later).toEqual([{ from: after, to, reason: 'epoch' }, ...ids(11, 22)]);
}, 60_000);

test('client: gap: future: the log lost its end: who had it is told, then all goes on', async () => {
  const system = await start();
  const copy = join(await temporaryFolder(), 'store');
  const store = memoryStore();
  const kept = await system.publisher.storeAll(series(TOPIC, 1, 10));
  await system.nats.kill('SIGKILL');
  await cp(system.nats.storeFolder, copy, { recursive: true });
  await system.nats.restart();
  await system.gateway.waitUntilReady();
  const client = open(system, { store });
  const after = kept[4]?.cursor ?? '';
  const got = follow(client.subscribe(TOPIC, { after, name: 'mine' }).messages());
  // An end that no archive had is known to the connected clients only.
  const lost = await storeArchived(system, series(TOPIC, 11, 15));
  await until(() => got.length === 10 && store.get('mine') === lost[4]?.cursor);

  await system.nats.kill('SIGKILL');
  await rm(system.nats.storeFolder, { recursive: true });
  await cp(copy, system.nats.storeFolder, { recursive: true });
  await system.nats.restart();
  await system.gateway.waitUntilReady();
  const fresh = await system.publisher.storeInOrder(series(TOPIC, 16, 18));
  const next = fresh[0];
  expect(sequenceOf(next?.cursor ?? '')).toBe(11);
  const to = next?.cursor.replace(/-11$/, '-10');
  const gap = { from: lost[4]?.cursor, to, reason: 'future' };
  await until(() => got.at(-1) === '18', 'the new events', NOTICE_MS);
  expect(got).toEqual([...ids(6, 15), gap, ...ids(16, 18)]);
  // The cursor of the new epoch takes the place of the one that lies further on.
  const end = fresh.at(-1)?.cursor;
  await until(
    () => store.get('mine') === end,
    () => `${store.get('mine')} to be ${end}`,
  );
  const again = follow(
    open(system)
      .subscribe(TOPIC, { after: lost[4]?.cursor ?? '' })
      .messages(),
  );
  await until(() => again.at(-1) === '18');
  expect(again).toEqual([gap, ...ids(16, 18)]);
}, 60_000);
