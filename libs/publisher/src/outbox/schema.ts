import { OUTBOX_TABLE, parseTableName, type TableName } from './table-name.ts';

/** The databases that an outbox may be in. */
export type OutboxDatabase = 'postgresql' | 'sqlite';

/** The channel on which PostgreSQL tells relays of new rows; the payload is `schema.table`. */
export const OUTBOX_CHANNEL = 'tidemark_outbox';

/**
 * The SQL that makes the table of an outbox (PROTOCOL.md section 15). Run again, it changes nothing. It holds several
 * statements, so it goes through `client.query(sql)` of `pg` without values, or `database.exec(sql)`.
 *
 * It needs PostgreSQL 14 or newer, or SQLite 3.37 or newer.
 *
 * @param table `table`, or `schema.table` with PostgreSQL; the schema must exist
 * @throws TypeError for another name
 */
export function schemaFor(database: OutboxDatabase, table: string = OUTBOX_TABLE): string {
  const name = parseTableName(table);
  return database === 'postgresql' ? postgresqlSchema(name) : sqliteSchema(name);
}

/**
 * A row is inserted, marked and deleted soon, so what it leaves behind must go soon too: the usual fifth of the table is
 * never reached. The free part of each page lets a row be marked in place.
 */
function postgresqlSchema({ schema, table, quoted }: TableName): string {
  const notify = schema ? `"${schema}"."${table}_notify"` : `"${table}_notify"`;
  return `
CREATE TABLE IF NOT EXISTS ${quoted} (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  type text NOT NULL,
  source text NOT NULL,
  id text NOT NULL DEFAULT gen_random_uuid()::text,
  time timestamptz NOT NULL DEFAULT now(),
  data json,
  attributes json CHECK (json_typeof(attributes) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  attempted_at timestamptz,
  failed_at timestamptz,
  failure text
) WITH (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000
);
CREATE OR REPLACE FUNCTION ${notify}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('${OUTBOX_CHANNEL}', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER "${table}_inserted" AFTER INSERT ON ${quoted}
  FOR EACH STATEMENT EXECUTE FUNCTION ${notify}();
`;
}

/** Without AUTOINCREMENT the position of a deleted row would be used again. */
function sqliteSchema({ schema, quoted }: TableName): string {
  if (schema) throw new TypeError('A table of SQLite has no schema.');
  const now = `(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`;
  return `
CREATE TABLE IF NOT EXISTS ${quoted} (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  type TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
  time TEXT NOT NULL DEFAULT ${now},
  data TEXT CHECK (json_valid(data)),
  attributes TEXT CHECK (json_type(attributes) = 'object'),
  created_at TEXT NOT NULL DEFAULT ${now},
  attempted_at TEXT,
  failed_at TEXT,
  failure TEXT
) STRICT;
`;
}
