import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { afterEach, expect, test } from 'vitest';
import { cached, NEWEST } from '../../infra/launcher/nats-server.mjs';
import { OLDEST_NATS_SERVER } from '../../libs/config/src/defaults.mjs';
import { outline, TRANSPORTS } from '../support/clients.ts';
import { erase } from '../support/erasures.ts';
import type { NatsServerOptions } from '../support/nats-server.ts';
import { type CommandResult, runOperator } from '../support/operator.ts';
import { makeToken } from '../support/services.ts';
import {
  epochOf,
  ids,
  metric,
  numbered,
  publishUntil,
  type System,
  sequenceOf,
  series,
  startSystem,
  streamState,
  withNats,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { askPage } from './replay-setup.ts';

/* A backup that is made under load, and everything lost after it. */

const TOPIC = 'kept';

const oldServer = await cached(process.env, OLDEST_NATS_SERVER);
const newServer = await cached(process.env, NEWEST);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

interface Kept {
  readonly system: System;
  readonly folder: string;
  /** The file of the archive. */
  readonly database: string;
  backUp(to: string): Promise<CommandResult>;
  restore(from: string, ...args: string[]): Promise<CommandResult>;
  /** Ends NATS and replay and removes what both have stored; NATS then runs again, or another version. */
  loseEverything(binary?: string): Promise<void>;
}

async function start(nats: NatsServerOptions = {}): Promise<Kept> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-backup-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const database = join(folder, 'archive.db');
  const system = await startSystem({
    nats,
    env: { TIDEMARK_REPLAY_DATABASE: database, TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '100' },
  });
  cleanups.push(() => system.stop());
  const env = { NATS_URL: system.nats.url };
  return {
    system,
    folder,
    database,
    backUp: (to) => runOperator('backup', ['--to', to, '--archive', database], env),
    restore: (from, ...args) =>
      runOperator('restore', ['--from', from, '--archive', database, ...args], env),
    async loseEverything(binary) {
      await system.replay.kill('SIGKILL');
      await system.nats.kill('SIGKILL');
      await rm(system.nats.storeFolder, { recursive: true });
      for (const end of ['', '-wal', '-shm']) await rm(database + end, { force: true });
      await system.nats.restart(binary);
    },
  };
}

test('erasures that are newer than the backup: applied again after the restore, and a stream of an earlier version then allows them', async () => {
  const { system, folder, backUp, restore, loseEverything } = await start();
  const backup = join(folder, 'backup');
  const stored = await system.publisher.storeAll(series(TOPIC, 1, 20));
  await system.publisher.storeAll(series('whole', 1, 5));
  expect(await erase(system.replay, { cursor: stored[0]?.cursor })).toMatchObject({ events: 1 });
  expect((await backUp(backup)).code).toBe(0);
  // As the version before has made the stream.
  const manifest = join(backup, 'manifest.json');
  const text = await readFile(manifest, 'utf8');
  await writeFile(manifest, text.replaceAll('"deny_delete": false', '"deny_delete": true'));
  for (const target of [{ cursor: stored[9]?.cursor }, { topic: 'whole' }]) {
    expect(await erase(system.replay, target)).toMatchObject({ status: 200, complete: true });
  }
  const file = join(folder, 'erasures.ndjson');
  const token = { TIDEMARK_TOKEN: await makeToken('admin history:>', 'operator') };
  const url = ['--url', system.replay.url];
  expect((await runOperator('erasures', ['--save', file, ...url], token)).output).toContain(
    '3 records',
  );
  await loseEverything();
  expect((await restore(backup)).code).toBe(0);
  await system.nats.restart();
  await system.replay.restart();
  await until(async () => (await idsOf(system, TOPIC)).length === 19);
  expect(await idsOf(system, TOPIC)).toContain('10');
  const applied = await runOperator('erasures', ['--apply', file, ...url], token);
  expect(applied.output).toContain('3 erasures are recorded again');
  await until(async () => (await idsOf(system, TOPIC)).length === 18);
  expect(await idsOf(system, TOPIC)).not.toContain('10');
  expect(await idsOf(system, 'whole')).toEqual([]);
  const again = await runOperator('erasures', ['--apply', file, ...url], token);
  expect(again.code).toBe(0);
  const wrong = await runOperator('erasures', ['--apply', file, '--save', file, ...url], token);
  expect(wrong).toMatchObject({ code: 1, output: expect.stringContaining('One of') });
});

async function idsOf({ replay }: System, topic: string): Promise<unknown[]> {
  const { items } = await askPage(replay, `/v1/events?topics=${topic}`);
  return items.map(({ event }) => event.id);
}

test('backup and restore: made under load, all lost: who is within it goes on, who is beyond it is told what is lost', async () => {
  const { system, folder, backUp, restore, loseEverything } = await start();
  const { publisher } = system;
  const kept = await publisher.storeAll(series(TOPIC, 1, 500));
  await revoke(system, 'mallory');
  let done = false;
  const loading = publishUntil(() => done, 'load', publisher);
  // The oldest server may name an end, in a snapshot under load, that the snapshot lacks.
  if (system.nats.version === OLDEST_NATS_SERVER) {
    done = true;
    await loading;
  }
  const backup = join(folder, 'backup');
  const made = await backUp(backup);
  expect(made.output).toContain('The backup is in');
  done = true;
  const load = await loading;
  const connected = TRANSPORTS.map((transport) =>
    system.listen(transport, { topics: TOPIC, after: kept[9]?.cursor ?? '' }),
  );
  const lost = await publisher.storeAll(series(TOPIC, 501, 520));
  for (const listener of connected) await until(() => listener.ids.length === 510);

  await loseEverything();
  const restored = await restore(backup);
  expect(restored.output).toContain('The log goes on in the epoch');
  const { last: end, messages } = await streamState(system.nats.url);
  expect(end).toBeGreaterThan(500);
  // Only a server that starts looks which events of the last minutes it has.
  await system.nats.restart();
  await system.replay.restart();
  // What the backup has is known by its id, too.
  expect(await publisher.store(numbered(TOPIC, 500))).toMatchObject({ duplicate: true });
  const next = await publisher.storeInOrder(series(TOPIC, 521, 540));
  expect(sequenceOf(next[0]?.cursor ?? '')).toBe(end + 1);
  const to = `${epochOf(next[0]?.cursor)}-${end}`;
  const gap = { type: 'gap', from: lost.at(-1)?.cursor, to, reason: 'future' };
  for (const listener of connected) {
    await until(() => listener.ids.includes('540'));
    expect(outline(listener)).toEqual([...ids(11, 520), gap, ...ids(521, 540)]);
  }
  for (const transport of TRANSPORTS) {
    const within = system.listen(transport, { topics: TOPIC, after: kept[9]?.cursor ?? '' });
    await until(() => within.live);
    expect(outline(within)).toEqual([...ids(11, 500), ...ids(521, 540)]);
    const beyond = system.listen(transport, { topics: TOPIC, after: lost[4]?.cursor ?? '' });
    await until(() => beyond.live);
    expect(outline(beyond)).toEqual([{ ...gap, from: lost[4]?.cursor }, ...ids(521, 540)]);
    const others = system.listen(transport, { topics: 'load', after: 'earliest' });
    await until(() => others.live);
    expect(others.ids).toEqual(ids(1, messages - 500));
  }
  expect(load.length).toBeGreaterThanOrEqual(messages - 500);
  // What the operators had revoked before stays revoked.
  expect(await statusOf(system, 'mallory')).toBe(401);
  expect(await statusOf(system, 'alice')).toBe(200);
}, 60_000);

test('restore: the same backup twice: cursors of the time between are told what is lost', async () => {
  const { system, folder, backUp, restore, loseEverything } = await start();
  const { publisher } = system;
  await publisher.storeAll(series(TOPIC, 1, 10));
  await archived(system, 10);
  const backup = join(folder, 'backup');
  expect((await backUp(backup)).code).toBe(0);
  await loseEverything();
  expect((await restore(backup)).code).toBe(0);
  await system.replay.restart();
  const between = await publisher.storeAll(series(TOPIC, 11, 15));
  const returned = system.listen('sse', { topics: TOPIC, after: 'earliest' });
  await until(() => returned.ids.length === 15);
  await loseEverything();
  expect((await restore(backup)).code).toBe(0);
  await system.replay.restart();
  const [next] = await publisher.storeInOrder(series(TOPIC, 16, 20));
  // Until the gateway has the restored stream, it serves what it still holds of the lost one.
  await until(() => returned.ids.includes('20'));
  const gap = {
    type: 'gap',
    from: between[2]?.cursor,
    to: `${epochOf(next?.cursor)}-10`,
    reason: 'future',
  };
  const beyond = system.listen('websocket', { topics: TOPIC, after: between[2]?.cursor ?? '' });
  await until(() => beyond.live);
  expect(outline(beyond)).toEqual([gap, ...ids(16, 20)]);
  // A cursor of the epoch between, of an event that the backup has.
  const within = `${epochOf(between[0]?.cursor)}-8`;
  const behind = system.listen('websocket', { topics: TOPIC, after: within });
  await until(() => behind.live);
  expect(outline(behind)).toEqual([...ids(9, 10), ...ids(16, 20)]);
}, 60_000);

test('restore: an older backup, and an archive that is kept: the archive goes back to its end', async () => {
  const { system, folder, backUp, restore } = await start();
  const { publisher, replay } = system;
  await publisher.storeAll(series(TOPIC, 1, 10));
  await archived(system, 10);
  const backup = join(folder, 'backup');
  expect((await backUp(backup)).code).toBe(0);
  const lost = await publisher.storeAll(series(TOPIC, 11, 15));
  await archived(system, 15);

  const running = await restore(backup, '--overwrite');
  expect(running).toMatchObject({ code: 1 });
  expect(running.output).toContain('A replay service is running; stop all of them first.');
  await replay.kill();
  const refused = await restore(backup);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.output).toContain('There is a stream with 15 events; --overwrite deletes it.');
  expect((await restore(backup, '--overwrite', '--keep-archive')).code).toBe(0);
  await replay.restart();
  const [next] = await publisher.storeInOrder(series(TOPIC, 16, 18));
  expect(sequenceOf(next?.cursor ?? '')).toBe(11);
  await archived(system, 13);
  const page = await history(system, `&after=${lost[1]?.cursor}`);
  expect(page.items.map(({ event }) => event.id)).toEqual(ids(16, 18));
  const to = `${epochOf(next?.cursor)}-10`;
  expect(page.gaps).toEqual([{ from: lost[1]?.cursor, to, reason: 'future' }]);
}, 60_000);

/** The other tests make and restore their backups with one version; a plain `npm test` leaves it out. */
test.runIf(process.env.ALL_TESTS === 'yes' && oldServer && newServer)(
  'restore: a backup of the oldest server: the newest one has it, with ids and times',
  async () => {
    const { system, folder, backUp, restore, loseEverything } = await start({
      binary: oldServer?.path ?? '',
    });
    const { publisher, replay, nats } = system;
    const kept = await publisher.storeAll(series(TOPIC, 1, 300));
    await archived(system, 300);
    const before = await streamTimes(nats.url);
    const backup = join(folder, 'backup');
    expect((await backUp(backup)).code).toBe(0);
    await loseEverything(newServer?.path);
    expect((await restore(backup)).code).toBe(0);
    await nats.restart(newServer?.path);
    await replay.restart();
    expect(await streamTimes(nats.url)).toEqual(before);
    expect(await publisher.store(numbered(TOPIC, 300))).toMatchObject({ duplicate: true });
    await publisher.store(numbered(TOPIC, 301));
    const returning = system.listen('sse', { topics: TOPIC, after: kept[99]?.cursor ?? '' });
    await until(() => returning.live);
    expect(outline(returning)).toEqual(ids(101, 301));
  },
  60_000,
);

test('restore of the archive alone: its copy takes the place of the file, and gets the rest from the stream', async () => {
  const { system, folder, database, backUp } = await start();
  const { publisher, replay } = system;
  const stored = await publisher.storeAll(series(TOPIC, 1, 10));
  await archived(system, 10);
  const backup = join(folder, 'backup');
  expect((await backUp(backup)).code).toBe(0);
  await publisher.storeAll(series(TOPIC, 11, 15));
  await replay.kill('SIGKILL');
  for (const end of ['', '-wal', '-shm']) await rm(database + end, { force: true });
  await copyFile(join(backup, 'archive.db'), database);
  await replay.restart();
  await archived(system, 15);
  const { items, gaps } = await history(system, '');
  expect(items.map(({ event }) => event.id)).toEqual(ids(1, 15));
  expect(items[0]?.cursor).toBe(stored[0]?.cursor);
  expect(gaps).toEqual([]);
});

test('restore: a backup that was changed, or is not complete: refused before anything happens', async () => {
  const { system, folder, backUp, restore } = await start();
  await system.publisher.storeAll(series(TOPIC, 1, 3));
  await archived(system, 3);
  const backup = join(folder, 'backup');
  expect((await backUp(backup)).code).toBe(0);
  expect((await backUp(backup)).output).toContain('is not empty');
  await writeFile(join(backup, 'TIDEMARK_EVENTS.snapshot'), 'something else');
  const changed = await restore(backup, '--overwrite');
  expect(changed).toMatchObject({ code: 1 });
  expect(changed.output).toContain('has been changed or is damaged');
  const absent = await restore(join(folder, 'nothing'));
  expect(absent.output).toMatch(
    /^tidemark: .*nothing is no complete backup: manifest.json ENOENT.$/m,
  );
});

interface Page {
  readonly items: readonly { readonly cursor: string; readonly event: { readonly id: string } }[];
  readonly gaps: readonly { readonly to: string; readonly reason: string }[];
}

async function history({ replay, token }: System, more: string): Promise<Page> {
  const url = `${replay.url}/v1/events?topics=${TOPIC}${more}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.json()) as Page;
}

/** When the stream stored its first and its last event. */
function streamTimes(url: string): Promise<string[]> {
  return withNats(url, async (connection) => {
    const { state } = await (await jetstreamManager(connection)).streams.info(STREAM_NAME);
    return [state.first_ts, state.last_ts].map((time) => String(time));
  });
}

async function archived({ replay }: System, sequence: number): Promise<void> {
  await until(async () => (await metric(replay, 'projection_position')) >= sequence, 'the archive');
}

async function revoke({ gateway }: System, sub: string): Promise<void> {
  const answer = await fetch(`${gateway.url}/v1/admin/revocations`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await makeToken('admin')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ sub }),
  });
  expect(answer.status).toBe(204);
}

async function statusOf({ replay }: System, sub: string): Promise<number> {
  const headers = { authorization: `Bearer ${await makeToken('history:>', sub)}` };
  return (await fetch(`${replay.url}/v1/events`, { headers })).status;
}
