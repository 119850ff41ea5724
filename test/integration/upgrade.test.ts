import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import Database from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { cached, NEWEST } from '../../infra/launcher/nats-server.mjs';
import { OLDEST_NATS_SERVER } from '../../libs/config/src/defaults.mjs';
import { TRANSPORTS } from '../support/clients.ts';
import { ids, metric, type System, series, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/* New versions on what older ones have stored, with clients that stay or return with old cursors. */

const TOPIC = 'upgraded';

const FIXTURE = new URL(
  '../../services/replay/src/archive/fixtures/schema-1.db.gz',
  import.meta.url,
);

/** Makes an archive what the version before wrote. */
const DOWNGRADE = `
  ALTER TABLE position DROP COLUMN earlier;
  DROP TABLE identity;
  DROP TABLE notices;
  DROP TABLE expiring;
  DROP TABLE erasures;
  DROP TABLE erased;
  PRAGMA user_version = 1;
`;

const oldServer = await cached(process.env, OLDEST_NATS_SERVER);
const newServer = await cached(process.env, NEWEST);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

test.runIf(oldServer && newServer)(
  'upgrade of NATS: the store of the oldest version under the newest one: clients notice nothing',
  async () => {
    const system = await startSystem({ nats: { binary: oldServer?.path ?? '' } });
    cleanups.push(() => system.stop());
    expect(system.nats.version).toBe(OLDEST_NATS_SERVER);
    const { publisher } = system;
    const old = await publisher.storeAll(series(TOPIC, 1, 500));
    const connected = TRANSPORTS.map((one) => {
      return system.listen(one, { topics: TOPIC, after: 'earliest' });
    });
    for (const listener of connected) await until(() => listener.live);

    await system.nats.restart(newServer?.path);
    expect(system.nats.version).toBe(NEWEST);
    // A repeat is still one.
    const [repeated] = await publisher.storeAll(series(TOPIC, 500, 500));
    expect(repeated).toEqual({ ...old[499], duplicate: true });
    await publisher.storeInOrder(series(TOPIC, 501, 520));
    for (const listener of connected) {
      await until(() => listener.ids.length === 520);
      expect(listener.ids).toEqual(ids(1, 520));
      expect(listener.gaps).toEqual([]);
      expect(listener.connections).toBe(1);
    }
    await expectReturn(system, old[9]?.cursor, ids(11, 520));
  },
);

test('upgrade of the services: the stream and the archive of the version before: old cursors stay valid', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-upgrade-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const database = join(folder, 'archive.db');
  // The tail is short, so that reads come from the archive.
  const env = { TIDEMARK_REPLAY_DATABASE: database, TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10' };
  const system = await startSystem({ env });
  cleanups.push(() => system.stop());
  const { publisher, replay, gateway } = system;
  const old = await publisher.storeAll(series(TOPIC, 1, 100));
  const connected = TRANSPORTS.map((one) => {
    return system.listen(one, { topics: TOPIC, after: 'earliest' });
  });
  for (const listener of connected) await until(() => listener.live);
  await until(async () => (await metric(replay, 'projection_position')) === 100);
  await replay.kill();
  downgradeArchive(database, folder);
  await removeNameOfLog(system, old[0]?.cursor ?? '');

  await replay.restart();
  expect(replay.logs.map(({ msg }) => msg)).toContain('the archive was upgraded');
  const next = await publisher.storeInOrder(series(TOPIC, 101, 120));
  expect(next[0]?.cursor).toBe(old[0]?.cursor.replace(/-1$/, '-101'));
  await until(async () => (await metric(replay, 'projection_position')) === 120);
  await expectReturn(system, old[9]?.cursor, ids(11, 120));
  await gateway.restart();
  for (const listener of connected) {
    await until(() => listener.ids.length === 120);
    expect(listener.ids).toEqual(ids(1, 120));
    expect(listener.gaps).toEqual([]);
  }
  await expectReturn(system, old[9]?.cursor, ids(11, 120));
  // Without the archive: what was stored before there were seals keeps its publisher.
  await replay.kill();
  await gateway.restart();
  const late = system.listen('websocket', { topics: TOPIC, after: 'earliest' });
  await until(() => late.ids.length === 120);
  const publishers = late.events.slice(0, 100).map(({ event }) => event.publisher);
  expect(new Set(publishers)).toEqual(new Set(['tester']));
});

async function expectReturn(system: System, after = '', expected: readonly string[]) {
  for (const transport of TRANSPORTS) {
    const returning = system.listen(transport, { topics: TOPIC, after });
    await until(() => returning.live);
    expect(returning.ids).toEqual(expected);
    expect(returning.gaps).toEqual([]);
  }
}

function downgradeArchive(path: string, folder: string): void {
  const fixture = join(mkdtempSync(join(folder, 'fixture-')), 'archive.db');
  writeFileSync(fixture, gunzipSync(readFileSync(FIXTURE)));
  const database = new Database(path);
  database.exec(DOWNGRADE);
  database.close();
  expect(schemaOf(path)).toEqual(schemaOf(fixture));
}

/** What SQLite says about tables and indexes, and the version. */
function schemaOf(path: string) {
  const database = new Database(path, { readonly: true });
  const columns = database
    .prepare(
      `SELECT s.type, s.name, c.name AS column, c.type AS kind, c.pk FROM sqlite_schema s
       LEFT JOIN pragma_table_info(s.name) c ORDER BY s.name, c.cid`,
    )
    .all();
  const version = database.pragma('user_version', { simple: true });
  database.close();
  return { columns, version };
}

/** A stream of the version before names its log by the time of its creation alone, and has no key. */
async function removeNameOfLog({ nats }: System, cursor: string): Promise<void> {
  await withNats(nats.url, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    const { config, created } = await streams.info(STREAM_NAME);
    await streams.update(STREAM_NAME, { ...config, metadata: {} });
    expect(cursor).toBe(`${Date.parse(created).toString(36)}-1`);
  });
}
