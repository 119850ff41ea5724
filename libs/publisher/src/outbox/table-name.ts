/** The table of an outbox where no other is named (PROTOCOL.md section 15). */
export const OUTBOX_TABLE = 'tidemark_outbox';

/** Longest name of a table or schema. PostgreSQL cuts names after 63 bytes, and the trigger's name is longer. */
const NAME_LENGTH_MAX = 48;

const NAME = new RegExp(`^[a-z_][a-z0-9_]{0,${NAME_LENGTH_MAX - 1}}$`);

/** The name of an outbox's table. */
export interface TableName {
  /** PostgreSQL alone has schemas; without one its `search_path` decides. */
  readonly schema: string | undefined;
  readonly table: string;
  /** As SQL has it, in quotes. */
  readonly quoted: string;
}

/**
 * Reads `table` or `schema.table`. Other names than `a-z 0-9 _`, of at most 48 characters, are refused: the name
 * becomes a part of SQL.
 *
 * @throws TypeError
 */
export function parseTableName(text: string): TableName {
  const names = text.split('.');
  const [table = '', schema] = names.reverse();
  if (names.length > 2 || !names.every((name) => NAME.test(name))) {
    throw new TypeError(
      `${JSON.stringify(text.slice(0, 200))} is not the name of an outbox: a table or schema.table of a-z 0-9 _, at most ${NAME_LENGTH_MAX} characters each.`,
    );
  }
  return { schema, table, quoted: schema ? `"${schema}"."${table}"` : `"${table}"` };
}
