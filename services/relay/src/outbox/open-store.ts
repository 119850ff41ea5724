import { PostgresqlStore } from './postgresql.ts';
import { SqliteStore } from './sqlite.ts';
import type { OutboxStore } from './store.ts';

/** What the URL of an outbox in SQLite begins with. */
const SQLITE = 'sqlite:';

/** Where an outbox is. */
export interface StoreOptions {
  /** `postgres://…` or `sqlite:` and a path. */
  readonly databaseUrl: string;
  readonly table: string;
  readonly lockSeconds: number;
}

/** Opens an outbox. @throws Error where the database cannot be reached, or has no such table */
export function openStore({ databaseUrl, table, lockSeconds }: StoreOptions): Promise<OutboxStore> {
  if (databaseUrl.startsWith(SQLITE)) {
    return SqliteStore.open({ path: databaseUrl.slice(SQLITE.length), table });
  }
  return PostgresqlStore.open({ url: databaseUrl, table, lockMs: lockSeconds * 1000 });
}
