import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import type { Service } from '../support/services.ts';
import {
  ask,
  askLines,
  askPage,
  metric,
  OutsideClient,
  range,
  sequenceOf,
  startReplay,
  until,
  untilProjected,
} from './replay-setup.ts';

const TEN_KB = 'x'.repeat(10_000);

let nats: NatsServer;
let client: OutsideClient;
let folder: string;
let replay: Service | undefined;

beforeEach(async () => {
  nats = await startNatsServer();
  client = await OutsideClient.connect(nats.url);
  folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
});

afterEach(async () => {
  await replay?.stop();
  replay = undefined;
  await client.close();
  await nats.stop();
  await rm(folder, { recursive: true });
});

async function start(env: Record<string, string> = {}): Promise<Service> {
  replay = await startReplay(nats.url, {
    TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
    ...env,
  });
  return replay;
}

const orders = (number: number) => ({ topic: `orders.${number % 7}`, type: `type.${number % 3}` });

async function exported(service: Service): Promise<number[]> {
  const lines = await askLines(service, '/v1/events');
  expect(lines.at(-1)).toMatchObject({ complete: true });
  return lines.slice(0, -1).map(({ event }) => (event as { data: { number: number } }).data.number);
}

describe('projection', () => {
  test('projection: database deleted: a new start gives the same bytes', async () => {
    const service = await start();
    await client.publish(range(1, 2000), orders);
    client.connection.publish('tidemark.events.orders.1', 'rubbish');
    await client.publish(range(2001, 2100), orders);
    await untilProjected(service, 2101);
    const questions = [
      ['/v1/events?limit=1000', 'application/json'],
      ['/v1/events?topics=orders.3,orders.4&type=type.1&order=desc', 'application/json'],
      ['/v1/topics', 'application/json'],
      ['/v1/events', 'application/x-ndjson'],
    ] as const;
    const answers = () =>
      Promise.all(
        questions.map(async ([path, accept]) => (await ask(service, path, { accept })).text),
      );
    const before = await answers();
    await service.kill();
    for (const name of await readdir(folder)) await rm(join(folder, name));
    await service.restart();
    expect(await answers()).toEqual(before);
    expect(before[3]?.split('\n')).toHaveLength(2102);
  });

  test('projection: killed with SIGKILL while it reads 50,000 events: each once, in order', async () => {
    const service = await start({ TIDEMARK_REPLAY_PROJECTION_BATCH_MAX: '100' });
    await client.publish(range(1, 1000), orders);
    const publishing = client.publish(range(1001, 50_000), orders);
    const stops: number[] = [];
    for (const share of [5000, 15_000, 30_000]) {
      await untilProjected(service, share);
      await service.kill('SIGKILL');
      await service.restart();
      stops.push(await metric(service, 'projection_position'));
    }
    await publishing;
    await untilProjected(service, 50_000);
    expect(await exported(service)).toEqual(range(1, 50_000));
    const topics = await askPage(service, '/v1/topics');
    const counts = topics.items as unknown as { count: number }[];
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(50_000);
    expect(stops).toHaveLength(3);
  }, 90_000);

  test('projection: events older than the stream holds: still answered', async () => {
    const service = await start({ TIDEMARK_STREAM_MAX_AGE_SECONDS: '1' });
    await client.publish(range(1, 300), orders);
    await untilProjected(service, 300);
    await until(async () => (await streamState()).messages === 0);
    expect(await exported(service)).toEqual(range(1, 300));
    await service.restart();
    expect(await exported(service)).toEqual(range(1, 300));
    expect((await askPage(service, '/v1/events')).gaps).toEqual([]);
  });

  test('projection: events left the stream while replay was away: the answer tells the gap', async () => {
    const service = await start({ TIDEMARK_STREAM_MAX_BYTES: '65536' });
    await client.publish(range(1, 10), orders);
    await untilProjected(service, 10);
    await service.kill();
    await client.publish(range(11, 40), (number) => ({ ...orders(number), text: TEN_KB }));
    const { first_seq: kept } = await streamState();
    expect(kept).toBeGreaterThan(11);
    await service.restart();
    await untilProjected(service, 40);
    const page = await askPage(service, '/v1/events');
    expect(page.items.map(sequenceOf)).toEqual([...range(1, 10), ...range(kept, 40)]);
    const epoch = page.next.split('-')[0];
    const gap = { from: `${epoch}-10`, to: `${epoch}-${kept - 1}`, reason: 'expired' };
    expect(page.gaps).toEqual([gap]);
    const lines = await askLines(service, '/v1/events');
    expect(lines[10]).toEqual({ gap });
    const backwards = await askPage(service, `/v1/events?order=desc&before=${epoch}-25`);
    expect(backwards.gaps).toEqual([{ ...gap, to: `${epoch}-24` }]);
    expect(backwards.items.map(sequenceOf)).toEqual(range(1, 10).reverse());
  });

  test('projection: messages that are no events: counted, logged and skipped', async () => {
    const service = await start();
    const event = { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 'a.b' };
    const { connection } = client;
    connection.publish('tidemark.events.a.b', 'rubbish');
    connection.publish('tidemark.events.a.b', new Uint8Array([0xff, 0xfe]));
    connection.publish('tidemark.events.a.b', JSON.stringify({ ...event, source: '' }));
    connection.publish('tidemark.events.a.b$', JSON.stringify(event));
    connection.publish('tidemark.events.a.b', '[]');
    connection.publish('tidemark.events.a.b', `\ufeff${JSON.stringify(event)}`);
    connection.publish('tidemark.events.a.b', JSON.stringify({ ...event, id: '2' }, null, 2));
    await untilProjected(service, 7);
    expect(await metric(service, 'projection_skipped_total')).toBe(5);
    const page = await askPage(service, '/v1/events');
    expect(page.items.map(({ event: { id } }) => id)).toEqual(['1', '2']);
    const lines = await askLines(service, '/v1/events');
    expect(lines).toHaveLength(3);
    const logged = service.logs.filter(({ msg }) => String(msg).startsWith('skipped a message'));
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({ sequence: 1, reason: 'not JSON in UTF-8' });
    await service.restart();
    expect((await askPage(service, '/v1/events')).items).toEqual(page.items);
  });

  test('projection: NATS killed: history is answered meanwhile, then it goes on', async () => {
    const service = await start();
    await client.publish(range(1, 50), orders);
    await untilProjected(service, 50);
    await nats.kill();
    expect(await exported(service)).toEqual(range(1, 50));
    const { next } = await askPage(service, '/v1/events');
    const beyond = next.replace(/\d+$/, '60');
    const refused = await ask(service, `/v1/events?after=${beyond}`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    await natsBack();
    await client.publish(range(51, 60), orders);
    await untilProjected(service, 60);
    expect(await exported(service)).toEqual(range(1, 60));
  });

  test('projection: NATS away at the start: not ready, no token accepted until it is back', async () => {
    const service = await start();
    await client.publish(range(1, 5), orders);
    await untilProjected(service, 5);
    await service.kill();
    await nats.kill();
    const restarted = service.restart();
    await until(
      async () => (await fetch(`${service.url}/healthz`).catch(() => undefined))?.ok ?? false,
    );
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    // Which tokens were revoked while it was away, it cannot know (PROTOCOL.md section 13.1).
    const refused = await ask(service, '/v1/events');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    await nats.restart();
    await restarted;
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    expect(await exported(service)).toEqual(range(1, 5));
  });

  test('projection: database locked by another program: goes on when it is free', async () => {
    const service = await start();
    await client.publish(range(1, 5), orders);
    await untilProjected(service, 5);
    const other = new Database(join(folder, 'archive.db'));
    other.exec('BEGIN IMMEDIATE');
    await client.publish(range(6, 10), orders);
    await until(() => service.logs.some(({ msg }) => String(msg).startsWith('the archive cannot')));
    expect(await exported(service)).toEqual(range(1, 5));
    other.exec('ROLLBACK');
    other.close();
    await client.publish(range(11, 15), orders);
    await untilProjected(service, 15);
    expect(await exported(service)).toEqual(range(1, 15));
  });

  test('projection: two processes on one file: one of them ends, nothing is twice', async () => {
    const service = await start();
    const database = join(folder, 'archive.db');
    const second = await startReplay(nats.url, { TIDEMARK_REPLAY_DATABASE: database });
    await client.publish(range(1, 100), orders);
    const refused = /Another process writes/;
    const faults = () =>
      [service, second].filter(({ logs }) => refused.test(JSON.stringify(logs))).length;
    await until(() => faults() > 0);
    expect(faults()).toBe(1);
    const left = refused.test(JSON.stringify(service.logs)) ? second : service;
    await untilProjected(left, 100);
    expect(await exported(left)).toEqual(range(1, 100));
    await second.stop();
  });

  test('projection: stopped while NATS is away: ends with code 0', async () => {
    const service = await start();
    await nats.kill();
    expect(await service.kill('SIGTERM')).toBe(0);
  });

  test('projection: stopped while NATS hangs: in time, and the archive is closed', async () => {
    const service = await start();
    await client.publish(range(1, 5), orders);
    await untilProjected(service, 5);
    expect(await readdir(folder)).toContain('archive.db-wal');
    await freeze(nats.pid);
    expect(await service.kill('SIGTERM')).toBe(0);
    process.kill(nats.pid, 'SIGCONT');
    expect(await readdir(folder)).toEqual(['archive.db']);
  });
});

describe('projection: another log', () => {
  test('projection: stream deleted: made again, old file kept, old cursors told', async () => {
    const service = await start();
    await client.publish(range(1, 5), orders);
    await untilProjected(service, 5);
    const old = await askPage(service, '/v1/events?limit=2');
    await (await client.manager()).streams.delete('TIDEMARK_EVENTS');
    await until(async () => (await streamState().catch(() => undefined)) !== undefined);
    await until(() => service.logs.some(({ msg }) => String(msg).includes('stream is gone')));
    await client.publish(range(6, 8), orders);
    await until(async () => (await askPage(service, '/v1/events')).items.length === 3);
    const page = await askPage(service, `/v1/events?after=${old.next}`);
    const epoch = page.next.split('-')[0];
    expect(page.items.map(({ event: { id } }) => id)).toEqual(['6', '7', '8']);
    expect(page.gaps).toEqual([{ from: old.next, to: `${epoch}-0`, reason: 'epoch' }]);
    const backwards = await askPage(service, `/v1/events?order=desc&before=${old.next}`);
    expect(backwards).toMatchObject({ items: [], complete: true, gaps: [{ reason: 'epoch' }] });
    const lines = await askLines(service, `/v1/events?after=${old.next}`);
    expect(lines[0]).toEqual({ gap: page.gaps[0] });
    expect((await ask(service, `/v1/events/${old.next}`)).status).toBe(404);
    const oldEpoch = old.next.split('-')[0];
    expect(await readdir(folder)).toContain(`archive.${oldEpoch}.db`);
  }, 60_000);

  test('projection: stream lost its end: what it lost goes, what came instead is there', async () => {
    const service = await start();
    await client.publish(range(1, 10), orders);
    await storeCopied();
    await client.publish(range(11, 20), orders);
    await untilProjected(service, 20);
    await storeRestored();
    await until(async () => (await metric(service, 'projection_position')) === 10);
    expect(await exported(service)).toEqual(range(1, 10));
    await client.publish(range(21, 23), orders);
    await untilProjected(service, 13);
    expect(await exported(service)).toEqual([...range(1, 10), ...range(21, 23)]);
  });

  test('projection: stream lost its end and grew past it unseen: read again', async () => {
    const service = await start();
    await client.publish(range(1, 10), orders);
    await storeCopied();
    await client.publish(range(11, 20), orders);
    await untilProjected(service, 20);
    await service.kill();
    await storeRestored();
    await client.publish(range(101, 130), orders);
    await service.restart();
    await untilProjected(service, 40);
    expect(await exported(service)).toEqual([...range(1, 10), ...range(101, 130)]);
  });
});

describe('projection: events to be removed', () => {
  test('projection: database locked at that time: goes on when it is free, and ends as the stream', async () => {
    const service = await start();
    await client.publish(range(1, 10), orders);
    await storeCopied();
    await client.publish(range(11, 20), orders);
    await untilProjected(service, 20);
    await service.kill();
    await storeRestored();
    await client.publish(range(101, 130), orders);
    const other = new Database(join(folder, 'archive.db'));
    other.exec('BEGIN IMMEDIATE');
    const restarted = service.restart();
    await until(() => service.logs.some(({ msg }) => msg === 'the feed could not start'));
    other.exec('ROLLBACK');
    other.close();
    await restarted;
    await untilProjected(service, 40);
    expect(await exported(service)).toEqual([...range(1, 10), ...range(101, 130)]);
  });
});

async function streamState() {
  const manager = await client.manager();
  return (await manager.streams.info('TIDEMARK_EVENTS')).state;
}

/** Starts the server again and connects anew, once the stream is there. */
async function natsBack(): Promise<void> {
  await nats.restart();
  await client.close();
  client = await OutsideClient.connect(nats.url);
  await until(async () => (await streamState().catch(() => undefined)) !== undefined);
}

/** A copy of the store as a crash that loses the end would leave it. */
async function storeCopied(): Promise<void> {
  await nats.kill('SIGTERM');
  await cp(nats.storeFolder, `${dirname(nats.storeFolder)}/copy`, { recursive: true });
  await natsBack();
}

async function storeRestored(): Promise<void> {
  await nats.kill();
  await rm(nats.storeFolder, { recursive: true });
  await cp(`${dirname(nats.storeFolder)}/copy`, nats.storeFolder, { recursive: true });
  await natsBack();
}
