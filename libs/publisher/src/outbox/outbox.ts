import { type CloudEvent, stringifyExact } from '@tidemark/protocol';
import { type OutboxEvent, toEvent } from './event.ts';
import { OUTBOX_TABLE, parseTableName } from './table-name.ts';
import {
  isSqlite,
  type PostgresqlClient,
  requireTransaction,
  type SqliteDatabase,
} from './transactions.ts';

/** How an outbox is made. */
export interface OutboxOptions {
  /** The `source` of events that name none, such as `/shop`. */
  readonly source?: string;
  /** `table`, or `schema.table` with PostgreSQL; `tidemark_outbox` if absent. */
  readonly table?: string;
}

/** What tells an added event from all others. The stream will have it under these names. */
export interface AddedEvent {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
}

/** Writes events into a table, from which a relay brings them into the stream. */
export interface Outbox {
  /**
   * Adds an event to the caller's transaction: it is published exactly if that commits. The event is checked first, so
   * a wrong one is told here and not to a relay. The context of the active span of OpenTelemetry becomes its trace.
   *
   * A client of PostgreSQL gives a promise, to be awaited before the commit. A database of SQLite is done on return.
   *
   * @throws TidemarkError `invalid_event`, `invalid_topic`, `forbidden` (a reserved topic) or `too_large`; nothing was
   *   written then
   * @throws TypeError for what is in no transaction, where that can be told
   */
  add(tx: SqliteDatabase, event: OutboxEvent): AddedEvent;
  add(tx: PostgresqlClient, event: OutboxEvent): Promise<AddedEvent>;
}

/** Attributes that have a column. `specversion` is always 1.0. */
const COLUMNS = new Set(['specversion', 'topic', 'type', 'source', 'id', 'time', 'data']);

type Values = (string | null)[];

/**
 * Creates an outbox. It keeps no connection and needs no closing. `schemaFor` has the table.
 *
 * @throws TypeError for a wrong name of a table
 * @example
 * const outbox = createOutbox({ source: '/shop' });
 * await client.query('BEGIN');
 * await client.query('UPDATE orders SET state = $1 WHERE id = $2', ['paid', 42]);
 * await outbox.add(client, { topic: 'orders.42', type: 'order.paid', data: { total: 7 } });
 * await client.query('COMMIT');
 */
export function createOutbox({ source, table = OUTBOX_TABLE }: OutboxOptions = {}): Outbox {
  const { quoted } = parseTableName(table);
  const insert = `INSERT INTO ${quoted} (topic, type, source, id, time, data, attributes) VALUES`;

  function add(tx: SqliteDatabase, event: OutboxEvent): AddedEvent;
  function add(tx: PostgresqlClient, event: OutboxEvent): Promise<AddedEvent>;
  function add(tx: SqliteDatabase | PostgresqlClient, event: OutboxEvent) {
    return isSqlite(tx) ? addSqlite(tx, event) : addPostgresql(tx, event);
  }

  function addSqlite(tx: SqliteDatabase, event: OutboxEvent): AddedEvent {
    requireTransaction(tx);
    const whole = toEvent(event, source, Date.now());
    tx.prepare(`${insert} (?, ?, ?, ?, ?, ?, ?)`).run(...toValues(whole));
    return toAdded(whole);
  }

  async function addPostgresql(tx: PostgresqlClient, event: OutboxEvent): Promise<AddedEvent> {
    requireTransaction(tx);
    const whole = toEvent(event, source, Date.now());
    await tx.query(`${insert} ($1, $2, $3, $4, $5, $6::json, $7::json)`, toValues(whole));
    return toAdded(whole);
  }

  return { add };
}

function toValues(event: CloudEvent): Values {
  const { topic, type, source, id, time = null, data } = event;
  const others = Object.entries(event).filter(([name]) => !COLUMNS.has(name));
  return [
    topic,
    type,
    source,
    id,
    time,
    data === undefined ? null : stringifyExact(data),
    others.length === 0 ? null : JSON.stringify(Object.fromEntries(others)),
  ];
}

function toAdded({ id, source, topic }: CloudEvent): AddedEvent {
  return { id, source, topic };
}
