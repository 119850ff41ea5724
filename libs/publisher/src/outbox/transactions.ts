/** A client of `pg`, or what queries like one, inside a transaction. */
export interface PostgresqlClient {
  query(text: string, values: unknown[]): Promise<unknown>;
  /** `pg` 8.22 and newer: `T` inside a transaction, `I` outside. */
  getTransactionStatus?(): string | null;
}

/** A database of `better-sqlite3`, or a `DatabaseSync` of `node:sqlite`, inside a transaction. */
export interface SqliteDatabase {
  prepare(sql: string): { run(...values: (string | null)[]): unknown };
  /** Of `better-sqlite3`. */
  readonly inTransaction?: boolean;
  /** Of `node:sqlite`. */
  readonly isTransaction?: boolean;
}

/** Whether it is a database of SQLite, which does everything at once. */
export function isSqlite(tx: PostgresqlClient | SqliteDatabase): tx is SqliteDatabase {
  return 'prepare' in tx && typeof tx.prepare === 'function';
}

/**
 * Refuses what is certainly in no transaction: there the event would be sent whether the changes are kept or not.
 *
 * @throws TypeError
 */
export function requireTransaction(tx: PostgresqlClient | SqliteDatabase): void {
  if (isSqlite(tx)) {
    if ((tx.inTransaction ?? tx.isTransaction) !== false) return;
    throw new TypeError('Add events inside a transaction: database.transaction(() => …)().');
  }
  if ('totalCount' in tx) {
    throw new TypeError(
      'A pool runs each query on any connection: pass the client of pool.connect().',
    );
  }
  if (tx.getTransactionStatus?.() !== 'I') return;
  throw new TypeError("Add events inside a transaction: await client.query('BEGIN') comes first.");
}
