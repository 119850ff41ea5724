import { setTimeout as pause } from 'node:timers/promises';
import type { TableName } from '@tidemark/publisher/outbox';
import Database from 'better-sqlite3';
import { Change } from './change.ts';
import { type OutboxRow, ROW_BYTES_MAX, TEXT_LENGTH_MAX } from './row.ts';
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

/** How often the file is asked whether another process has written to it, which takes some microseconds. */
const CHANGE_CHECK_MS = 5;

/** How long a statement waits for the lock of a writer, in steps that leave the loop free. */
const BUSY_MS_MAX = 10_000;
const BUSY_PAUSE_MS = 5;

/** How to reach an outbox in SQLite. */
export interface SqliteOptions {
  readonly path: string;
  readonly table: TableName;
}

interface Row extends Omit<OutboxRow, 'position' | 'bytes' | 'attempted'> {
  readonly position: bigint;
  readonly bytes: bigint;
  readonly attempted_at: string | null;
  readonly attempted_ms: number | null;
}

/**
 * An outbox in SQLite, of a process on the same machine. The lock is one on a file beside the database, which the
 * system gives back when the process ends. A process that hangs keeps it.
 */
export class SqliteStore implements OutboxStore {
  readonly #database: Database.Database;
  readonly #lock: Database.Database;
  readonly #table: string;
  readonly #change = new Change();
  readonly #statements = new Map<string, Database.Statement<unknown[], unknown>>();
  #locked = false;
  #version: unknown;

  private constructor({ path, table }: SqliteOptions) {
    this.#table = table.quoted;
    this.#database = new Database(path, { fileMustExist: true, timeout: 0 });
    this.#database.defaultSafeIntegers(true);
    // A mark that a power cut took back would have its row sent without a look-up.
    this.#database.pragma('synchronous = FULL');
    this.#lock = new Database(`${path}-${table.table}-relay`, { timeout: 0 });
  }

  /** @throws Error where there is no such file or table */
  static async open(options: SqliteOptions): Promise<SqliteStore> {
    const store = new SqliteStore(options);
    try {
      await store.#all(`SELECT position FROM ${store.#table} LIMIT 0`);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get holdsLock(): boolean {
    return this.#locked;
  }

  async takeLock(): Promise<boolean> {
    if (this.#locked) return true;
    try {
      this.#lock.exec('BEGIN EXCLUSIVE');
      this.#locked = true;
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    return this.#locked;
  }

  async readRows({ rowsMax, bytesMax, exceptTopics }: RowQuery): Promise<OutboxRow[]> {
    this.#change.forget();
    this.#version = this.#readVersion();
    const values = [JSON.stringify(exceptTopics), rowsMax, bytesMax];
    const rows = await this.#all<Row>(READ.replaceAll('$table', this.#table), ...values);
    return rows.map(toRow);
  }

  async markAttempted(positions: readonly string[], anew: readonly string[]): Promise<Set<string>> {
    const rows = await this.#all<{ position: bigint }>(
      `UPDATE ${this.#table} SET attempted_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
       WHERE position IN (SELECT value FROM json_each(?)) AND failed_at IS NULL
         AND (attempted_at IS NULL OR position IN (SELECT value FROM json_each(?)))
       RETURNING position`,
      list(positions),
      list(anew),
    );
    return new Set(rows.map(({ position }) => String(position)));
  }

  async deleteRows(positions: readonly string[]): Promise<void> {
    await this.#run(
      `DELETE FROM ${this.#table} WHERE position IN (SELECT value FROM json_each(?))`,
      list(positions),
    );
  }

  async setAside(rows: readonly FailedRow[]): Promise<void> {
    for (const { position, failure } of rows) {
      await this.#run(
        `UPDATE ${this.#table} SET failed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), failure = ?
         WHERE position = ?`,
        failure.slice(0, FAILURE_LENGTH_MAX),
        BigInt(position),
      );
    }
  }

  async readBacklog(): Promise<Backlog> {
    const count = (condition: string) =>
      `(SELECT count(*) FROM (SELECT 1 FROM ${this.#table} WHERE failed_at IS ${condition} LIMIT ${COUNTED_ROWS_MAX}))`;
    const [row] = await this.#all<{ waiting: bigint; failed: bigint; age: number }>(
      `SELECT ${count('NULL')} AS waiting, ${count('NOT NULL')} AS failed, coalesce((
         SELECT (julianday('now') - julianday(created_at)) * 86400000.0
         FROM ${this.#table} WHERE failed_at IS NULL ORDER BY position LIMIT 1), 0.0) AS age`,
    );
    return {
      waiting: Number(row?.waiting ?? 0),
      failed: Number(row?.failed ?? 0),
      ageMs: row?.age ?? 0,
    };
  }

  async listFailed(rowsMax: number): Promise<FailedRowInfo[]> {
    const rows = await this.#all<Omit<FailedRowInfo, 'position'> & { position: bigint }>(
      `SELECT position, topic, source, id, coalesce(failure, '') AS failure, failed_at AS failedAt
       FROM ${this.#table} WHERE failed_at IS NOT NULL ORDER BY position LIMIT ?`,
      rowsMax,
    );
    return rows.map((row) => ({ ...row, position: String(row.position) }));
  }

  async retry({ positions, asNew = false }: RetryChoice): Promise<number> {
    const rows = await this.#all(
      `UPDATE ${this.#table} SET failed_at = NULL, failure = NULL,
         attempted_at = CASE WHEN ? THEN NULL ELSE attempted_at END
       WHERE failed_at IS NOT NULL AND (? IS NULL OR position IN (SELECT value FROM json_each(?)))
       RETURNING position`,
      asNew ? 1 : 0,
      positions ? list(positions) : null,
      positions ? list(positions) : null,
    );
    return rows.length;
  }

  async waitForRows(ms: number, signal: AbortSignal): Promise<void> {
    const check = setInterval(() => {
      if (this.#readVersion() !== this.#version) this.#change.note();
    }, CHANGE_CHECK_MS);
    await this.#change.wait(ms, signal);
    clearInterval(check);
  }

  async close(): Promise<void> {
    this.#locked = false;
    this.#database.close();
    this.#lock.close();
  }

  /** Changes when another connection has written. A file that cannot tell counts as changed. */
  #readVersion(): unknown {
    try {
      return this.#database.pragma('data_version', { simple: true });
    } catch {
      return undefined;
    }
  }

  #all<R>(sql: string, ...values: unknown[]): Promise<R[]> {
    return unlessBusy(() => this.#prepare(sql).all(...values) as R[]);
  }

  async #run(sql: string, ...values: unknown[]): Promise<void> {
    await unlessBusy(() => this.#prepare(sql).run(...values));
  }

  #prepare(sql: string): Database.Statement<unknown[], unknown> {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

const READ = `
SELECT position, substr(topic, 1, ${TEXT_LENGTH_MAX}) AS topic, substr(type, 1, ${TEXT_LENGTH_MAX}) AS type,
  substr(source, 1, ${TEXT_LENGTH_MAX}) AS source, substr(id, 1, ${TEXT_LENGTH_MAX}) AS id, time,
  CASE WHEN bytes <= ${ROW_BYTES_MAX} THEN data END AS data,
  CASE WHEN bytes <= ${ROW_BYTES_MAX} THEN attributes END AS attributes, bytes, attempted_at,
  (julianday('now') - julianday(attempted_at)) * 86400000.0 AS attempted_ms
FROM (
  SELECT *, sum(min(bytes, ${ROW_BYTES_MAX})) OVER (ORDER BY position) AS total FROM (
    SELECT *, octet_length(topic) + octet_length(type) + octet_length(source) + octet_length(id)
      + coalesce(octet_length(data), 0) + coalesce(octet_length(attributes), 0) AS bytes
    FROM $table WHERE failed_at IS NULL AND topic NOT IN (SELECT value FROM json_each(?))
    ORDER BY position LIMIT ?
  )
)
WHERE total <= ? OR total = min(bytes, ${ROW_BYTES_MAX})
ORDER BY position`;

function toRow({ attempted_at: at, attempted_ms: ageMs, position, bytes, ...row }: Row): OutboxRow {
  return {
    ...row,
    position: String(position),
    bytes: Number(bytes),
    ...(at !== null && { attempted: { at, ageMs: ageMs ?? Number.POSITIVE_INFINITY } }),
  };
}

/** Positions as a JSON array of numbers, which SQLite reads with all their digits. */
function list(positions: readonly string[]): string {
  return `[${positions.join(',')}]`;
}

async function unlessBusy<T>(work: () => T): Promise<T> {
  const endMs = performance.now() + BUSY_MS_MAX;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= endMs) throw error;
    }
    await pause(BUSY_PAUSE_MS);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(?:BUSY|LOCKED)/.test(error.code);
}
