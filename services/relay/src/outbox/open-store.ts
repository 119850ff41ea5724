import { ConfigurationError } from '@tidemark/config';
import { parseTableName } from '@tidemark/publisher/outbox';
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

/**
 * Opens an outbox.
 *
 * @throws TypeError for what is no name of a table; Error where the database cannot be reached, or has no such table
 */
export async function openStore(options: StoreOptions): Promise<OutboxStore> {
  const { databaseUrl, lockSeconds } = options;
  const table = parseTableName(options.table);
  if (databaseUrl.startsWith(SQLITE)) {
    return SqliteStore.open({ path: databaseUrl.slice(SQLITE.length), table });
  }
  return PostgresqlStore.open({ url: databaseUrl, table, lockMs: lockSeconds * 1000 });
}

/**
 * Checks what no wait would make right.
 *
 * @throws ConfigurationError for what is no name of a table
 */
export function requireTable({ table }: Pick<StoreOptions, 'table'>): void {
  try {
    parseTableName(table);
  } catch (error) {
    throw new ConfigurationError([`TIDEMARK_RELAY_TABLE: ${(error as Error).message}`]);
  }
}
