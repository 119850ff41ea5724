import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOutbox, type OutboxEvent, schemaFor } from '@tidemark/publisher/outbox';
import Database from 'better-sqlite3';
import type { Client } from 'pg';
import { LACKS_POSTGRESQL, type Postgresql, startPostgresql } from './postgresql.ts';
import { makeToken, type Service, startService } from './services.ts';
import type { System } from './system.ts';

/** The databases that this machine can test. */
export const DATABASES: readonly DatabaseName[] = [
  ...(LACKS_POSTGRESQL ? [] : (['PostgreSQL'] as const)),
  'SQLite',
];

export type DatabaseName = 'PostgreSQL' | 'SQLite';

/** A row as the test sees it. */
export interface TableRow {
  readonly position: string;
  readonly topic: string;
  readonly id: string;
  readonly failure: string | null;
  readonly attempted: boolean;
}

/** An outbox in a real database, with a connection of its own as its writers have one. */
export interface TestOutbox {
  readonly database: DatabaseName;
  /** What `TIDEMARK_RELAY_DATABASE_URL` takes. */
  readonly url: string;
  readonly postgresql: Postgresql | undefined;
  /** Adds events in one transaction, and commits it. */
  add(...events: readonly OutboxEvent[]): Promise<void>;
  /** Runs plain SQL. */
  run(sql: string): Promise<void>;
  rows(): Promise<TableRow[]>;
  count(): Promise<number>;
  /** Connects again, after the server was killed. */
  reconnect(): Promise<void>;
  stop(): Promise<void>;
}

const SOURCE = '/outbox';
const COLUMNS = 'position, topic, id, failure, attempted_at IS NOT NULL AS attempted';

/** @param settings of PostgreSQL */
export async function startOutbox(
  database: DatabaseName,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestOutbox> {
  return database === 'PostgreSQL' ? startPostgresqlOutbox(settings) : startSqliteOutbox();
}

async function startPostgresqlOutbox(
  settings: Readonly<Record<string, string>>,
): Promise<TestOutbox> {
  const postgresql = await startPostgresql(settings);
  const outbox = createOutbox({ source: SOURCE });
  let client: Client = await postgresql.connect();
  await client.query(schemaFor('postgresql'));
  return {
    database: 'PostgreSQL',
    url: postgresql.url,
    postgresql,
    async add(...events) {
      await client.query('BEGIN');
      for (const event of events) await outbox.add(client, event);
      await client.query('COMMIT');
    },
    async run(sql) {
      await client.query(sql);
    },
    async rows() {
      return (await client.query(`SELECT ${COLUMNS} FROM tidemark_outbox ORDER BY position`)).rows;
    },
    async count() {
      return (await client.query('SELECT count(*)::int AS rows FROM tidemark_outbox')).rows[0].rows;
    },
    async reconnect() {
      await client.end().catch(() => {});
      client = await postgresql.connect();
    },
    async stop() {
      await client.end().catch(() => {});
      await postgresql.stop();
    },
  };
}

async function startSqliteOutbox(): Promise<TestOutbox> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-outbox-'));
  const path = join(folder, 'shop.db');
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.exec(schemaFor('sqlite'));
  const outbox = createOutbox({ source: SOURCE });
  const select = database.prepare(`SELECT ${COLUMNS} FROM tidemark_outbox ORDER BY position`);
  return {
    database: 'SQLite',
    url: `sqlite:${path}`,
    postgresql: undefined,
    async add(...events) {
      database.transaction(() => {
        for (const event of events) outbox.add(database, event);
      })();
    },
    async run(sql) {
      database.exec(sql);
    },
    async rows() {
      const rows = select.all() as (Omit<TableRow, 'attempted'> & { attempted: number })[];
      return rows.map((row) => ({
        ...row,
        position: String(row.position),
        attempted: row.attempted === 1,
      }));
    },
    async count() {
      return Number(database.prepare('SELECT count(*) FROM tidemark_outbox').pluck().get());
    },
    async reconnect() {},
    async stop() {
      database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a relay between an outbox and a system, as the user `shop`. */
export async function startOutboxRelay(
  outbox: Pick<TestOutbox, 'url'>,
  { ingest, replay, gateway }: Pick<System, 'ingest' | 'replay' | 'gateway'>,
  env: Readonly<Record<string, string>> = {},
): Promise<Service<'relay'>> {
  return startService('relay', {
    natsUrl: 'nats://127.0.0.1:1',
    waitUntilReady: false,
    env: {
      TIDEMARK_RELAY_DATABASE_URL: outbox.url,
      TIDEMARK_RELAY_INGEST_URL: ingest.url,
      TIDEMARK_RELAY_REPLAY_URL: replay.url,
      TIDEMARK_RELAY_GATEWAY_URL: gateway.url,
      ...(env.TIDEMARK_RELAY_TOKEN_FILE === undefined &&
        env.TIDEMARK_RELAY_TOKEN === undefined && {
          TIDEMARK_RELAY_TOKEN: await makeToken('publish:shop.> history:shop.>', 'shop'),
        }),
      TIDEMARK_RELAY_RETRY_MS_MAX: '200',
      ...env,
    },
  });
}
