import { OUTBOX_CHANNEL, type TableName } from '@tidemark/publisher/outbox';
import { Client } from 'pg';
import { Change } from './change.ts';
import { type OutboxRow, ROW_BYTES_MAX, TEXT_LENGTH_MAX } from './row.ts';
import { Stopwatch } from './stopwatch.ts';
import {
  type Backlog,
  COUNTED_ROWS_MAX,
  FAILURE_LENGTH_MAX,
  type FailedRow,
  type FailedRowInfo,
  type OutboxStore,
  type RetryChoice,
  type RowQuery,
} from './store.ts';

/** `TIDE` in ASCII: tells the locks of relays from others. The other half is the table. */
const LOCK_CLASS = 0x54_49_44_45;

const CONNECT_TIMEOUT_MS = 10_000;

/** How long the server works on one statement, and how long this process waits for its answer. */
const STATEMENT_TIMEOUT_MS = 30_000;
const QUERY_TIMEOUT_MS = 35_000;

/** How often the server hears of a relay that has nothing to do, within the time after which it ends the session. */
const PINGS_PER_LOCK = 4;

/** The part of that time for which the relay itself counts on its lock. */
const LOCK_TRUSTED = 0.75;

/** How to reach an outbox in PostgreSQL. */
export interface PostgresqlOptions {
  readonly url: string;
  readonly table: TableName;
  /** How long the server keeps the lock of a relay that it does not hear of. */
  readonly lockMs: number;
}

interface Row extends Omit<OutboxRow, 'time' | 'attempted'> {
  readonly time: string | null;
  readonly attempted_at: string | null;
  readonly attempted_ms: number | null;
}

/**
 * An outbox in PostgreSQL. Lock, notifications and all statements share one session: what cannot reach the database
 * has no lock either. The server ends a session that it has not heard of for `lockMs`, so a process that hangs loses
 * the lock; and that process counts on the lock for less than this time after the last statement that it sent.
 */
export class PostgresqlStore implements OutboxStore {
  readonly #client: Client;
  readonly #table: string;
  readonly #lockMs: number;
  readonly #change = new Change();
  readonly #pings: NodeJS.Timeout;
  #lastHeard = new Stopwatch();
  #locked = false;
  #lost = false;

  private constructor(client: Client, { table, lockMs }: PostgresqlOptions) {
    this.#client = client;
    this.#table = table.quoted;
    this.#lockMs = lockMs;
    const lose = () => {
      this.#lost = true;
      this.#change.note();
    };
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', () => this.#change.note());
    this.#pings = setInterval(() => void this.#ping(), lockMs / PINGS_PER_LOCK);
  }

  /** @throws Error where the database cannot be reached, or has no such table */
  static async open(options: PostgresqlOptions): Promise<PostgresqlStore> {
    const client = new Client({
      connectionString: options.url,
      application_name: 'tidemark-relay',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    // What fails is told by the statement that waits for it; without this it would end the process.
    client.on('error', () => {});
    await client.connect();
    const store = new PostgresqlStore(client, options);
    try {
      await store.#begin();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get holdsLock(): boolean {
    return this.#locked && !this.#lost && this.#lastHeard.elapsedMs < this.#lockMs * LOCK_TRUSTED;
  }

  async takeLock(): Promise<boolean> {
    const [row] = await this.#query<{ locked: boolean }>(
      `SELECT pg_try_advisory_lock(($1::bigint << 32) | $2::regclass::oid::bigint) AS locked`,
      [LOCK_CLASS, this.#table],
    );
    this.#locked = row?.locked === true;
    return this.#locked;
  }

  async readRows({ rowsMax, bytesMax, exceptTopics }: RowQuery): Promise<OutboxRow[]> {
    this.#change.forget();
    const rows = await this.#query<Row>(READ.replaceAll('$table', this.#table), [
      rowsMax,
      exceptTopics,
      bytesMax,
    ]);
    return rows.map(toRow);
  }

  async markAttempted(positions: readonly string[], anew: readonly string[]): Promise<Set<string>> {
    const rows = await this.#query<{ position: string }>(
      `UPDATE ${this.#table} SET attempted_at = clock_timestamp()
       WHERE position = ANY($1::bigint[]) AND failed_at IS NULL
         AND (attempted_at IS NULL OR position = ANY($2::bigint[]))
       RETURNING position::text`,
      [positions, anew],
    );
    return new Set(rows.map(({ position }) => position));
  }

  async deleteRows(positions: readonly string[]): Promise<void> {
    await this.#query(`DELETE FROM ${this.#table} WHERE position = ANY($1::bigint[])`, [positions]);
  }

  async setAside(rows: readonly FailedRow[]): Promise<void> {
    await this.#query(
      `UPDATE ${this.#table} t SET failed_at = clock_timestamp(), failure = f.failure
       FROM unnest($1::bigint[], $2::text[]) f (position, failure) WHERE t.position = f.position`,
      [
        rows.map(({ position }) => position),
        rows.map(({ failure }) => failure.slice(0, FAILURE_LENGTH_MAX)),
      ],
    );
  }

  async readBacklog(): Promise<Backlog> {
    const count = (condition: string) =>
      `(SELECT count(*)::int FROM (SELECT FROM ${this.#table} WHERE failed_at IS ${condition} LIMIT ${COUNTED_ROWS_MAX}) f)`;
    const [row] = await this.#query<Backlog>(
      `SELECT ${count('NULL')} AS waiting, ${count('NOT NULL')} AS failed, coalesce((
         SELECT extract(epoch FROM clock_timestamp() - created_at) * 1000
         FROM ${this.#table} WHERE failed_at IS NULL ORDER BY position LIMIT 1), 0)::float8 AS "ageMs"`,
      [],
    );
    return row ?? { waiting: 0, failed: 0, ageMs: 0 };
  }

  listFailed(rowsMax: number): Promise<FailedRowInfo[]> {
    return this.#query<FailedRowInfo>(
      `SELECT position::text, topic, source, id, coalesce(failure, '') AS failure,
         to_char(failed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "failedAt"
       FROM ${this.#table} WHERE failed_at IS NOT NULL ORDER BY position LIMIT $1`,
      [rowsMax],
    );
  }

  async retry({ positions, asNew = false }: RetryChoice): Promise<number> {
    const rows = await this.#query(
      `UPDATE ${this.#table} SET failed_at = NULL, failure = NULL,
         attempted_at = CASE WHEN $2 THEN NULL ELSE attempted_at END
       WHERE failed_at IS NOT NULL AND ($1::bigint[] IS NULL OR position = ANY($1::bigint[]))
       RETURNING position`,
      [positions ?? null, asNew],
    );
    return rows.length;
  }

  waitForRows(ms: number, signal: AbortSignal): Promise<void> {
    return this.#change.wait(ms, signal);
  }

  async close(): Promise<void> {
    clearInterval(this.#pings);
    this.#locked = false;
    // It waits for the server, which may be away.
    const ended = this.#client.end().catch(() => {});
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
  }

  async #begin(): Promise<void> {
    await this.#query(
      `SELECT set_config('idle_session_timeout', $1, false), set_config('lock_timeout', $2, false),
              set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false),
              $3::regclass`,
      [String(this.#lockMs), String(STATEMENT_TIMEOUT_MS), this.#table],
    );
    await this.#query(`LISTEN ${OUTBOX_CHANNEL}`, []);
  }

  async #ping(): Promise<void> {
    if (this.#lost) return;
    // Where it fails, `error` and `end` tell.
    await this.#query('SELECT 1', []).catch(() => {});
  }

  async #query<R>(text: string, values: readonly unknown[]): Promise<R[]> {
    const sent = new Stopwatch();
    const { rows } = await this.#client.query(text, [...values]);
    // Counted from before it was sent: the server's time begins later.
    if (sent.elapsedMs < this.#lastHeard.elapsedMs) this.#lastHeard = sent;
    return rows as R[];
  }
}

/**
 * Rows that are not yet committed are not seen, and may have lower positions than those that are; so nothing here
 * depends on the position of an earlier read.
 */
const READ = `
SELECT position::text, left(topic, ${TEXT_LENGTH_MAX}) AS topic, left(type, ${TEXT_LENGTH_MAX}) AS type,
  left(source, ${TEXT_LENGTH_MAX}) AS source, left(id, ${TEXT_LENGTH_MAX}) AS id,
  to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time,
  CASE WHEN bytes <= ${ROW_BYTES_MAX} THEN data::text END AS data,
  CASE WHEN bytes <= ${ROW_BYTES_MAX} THEN attributes::text END AS attributes, bytes,
  to_char(attempted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS attempted_at,
  (extract(epoch FROM clock_timestamp() - attempted_at) * 1000)::float8 AS attempted_ms
FROM (
  SELECT *, sum(least(bytes, ${ROW_BYTES_MAX})) OVER (ORDER BY position) AS total FROM (
    SELECT *, octet_length(topic) + octet_length(type) + octet_length(source) + octet_length(id)
      + coalesce(octet_length(data::text), 0) + coalesce(octet_length(attributes::text), 0) AS bytes
    FROM $table WHERE failed_at IS NULL AND topic <> ALL ($2::text[]) ORDER BY position LIMIT $1
  ) measured
) summed
WHERE total <= $3 OR total = least(bytes, ${ROW_BYTES_MAX})
ORDER BY summed.position`;

function toRow({ attempted_at: at, attempted_ms: ageMs, time, ...row }: Row): OutboxRow {
  return {
    ...row,
    time: time ?? '',
    ...(at !== null && ageMs !== null && { attempted: { at, ageMs } }),
  };
}
