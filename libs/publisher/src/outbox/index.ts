export type { OutboxEvent } from './event.ts';
export * from './outbox.ts';
export * from './schema.ts';
export { OUTBOX_TABLE, parseTableName, type TableName } from './table-name.ts';
export type { PostgresqlClient, SqliteDatabase } from './transactions.ts';
