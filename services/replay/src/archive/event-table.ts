import type { Database, Statement } from 'better-sqlite3';
import type { Order, Range, StoredRow } from './windows.ts';

/** What conditions are checked against: the numbers of an event's topic, type and source. */
export interface EventKeys {
  readonly sequence: number;
  readonly topic: number;
  readonly type: number;
  readonly source: number;
}

type RawKeys = readonly [sequence: number, topic: number, type: number, source: number];
type RawRow = readonly [sequence: number, timeMs: number, topic: string, json: string];
type Both<S> = Readonly<Record<Order, S>>;

const KEYS = 'SELECT sequence, topic_id, type_id, source_id FROM events';
const ROWS = `SELECT e.sequence, e.time_ms, t.name, e.json
  FROM events e CROSS JOIN topics t ON t.id = e.topic_id`;
const WITHIN = 'sequence > ? AND sequence <= ?';

/**
 * Reads of the events by sequence. Rows come as arrays, not objects, which is faster by a third
 * where many are read.
 */
export class EventTable {
  readonly #edge: Both<Statement<[number, number], number>>;
  readonly #keys: Statement<[number], RawKeys>;
  readonly #time: Statement<[number], number>;
  readonly #row: Statement<[number], RawRow>;
  readonly #scanKeys: Both<Statement<[number, number], RawKeys>>;
  readonly #scanRows: Both<Statement<[number, number], RawRow>>;

  /**
   * Runs reads as one transaction: they see one state of the file, and SQLite takes its lock once
   * instead of for each row, which halves the time of reading single rows.
   */
  readonly snapshot: <T>(read: () => T) => T;

  constructor(database: Database) {
    this.snapshot = (read) => database.transaction(read).deferred();
    this.#edge = both((order) =>
      database
        .prepare<[number, number], number>(
          `SELECT sequence FROM events WHERE ${WITHIN} ORDER BY sequence ${order} LIMIT 1`,
        )
        .pluck(),
    );
    this.#keys = database.prepare<[number], RawKeys>(`${KEYS} WHERE sequence = ?`).raw();
    this.#time = database
      .prepare<[number], number>(
        'SELECT time_ms FROM events WHERE sequence >= ? ORDER BY sequence LIMIT 1',
      )
      .pluck();
    this.#row = database.prepare<[number], RawRow>(`${ROWS} WHERE sequence = ?`).raw();
    this.#scanKeys = both((order) =>
      database
        .prepare<[number, number], RawKeys>(`${KEYS} WHERE ${WITHIN} ORDER BY sequence ${order}`)
        .raw(),
    );
    this.#scanRows = both((order) =>
      database
        .prepare<[number, number], RawRow>(`${ROWS} WHERE ${WITHIN} ORDER BY sequence ${order}`)
        .raw(),
    );
  }

  /** The first sequence of a range that has an event, from its low end or its high one. */
  first({ after, through }: Range, order: Order): number | undefined {
    return this.#edge[order].get(after, through);
  }

  row(sequence: number): StoredRow | undefined {
    const raw = this.#row.get(sequence);
    return raw && toRow(raw);
  }

  /** When the first event from a sequence on was stored. */
  time(sequence: number): number | undefined {
    return this.#time.get(sequence);
  }

  keys(sequence: number): EventKeys | undefined {
    const raw = this.#keys.get(sequence);
    return raw && toKeys(raw);
  }

  scanKeys({ after, through }: Range, order: Order): EventKeys[] {
    return this.#scanKeys[order].all(after, through).map(toKeys);
  }

  /** One row at a time, because the whole events of a range may not fit in memory. */
  *scanRows({ after, through }: Range, order: Order): Generator<StoredRow> {
    for (const raw of this.#scanRows[order].iterate(after, through)) yield toRow(raw);
  }
}

function both<S>(prepare: (order: Order) => S): Both<S> {
  return { asc: prepare('asc'), desc: prepare('desc') };
}

function toKeys([sequence, topic, type, source]: RawKeys): EventKeys {
  return { sequence, topic, type, source };
}

function toRow([sequence, timeMs, topic, json]: RawRow): StoredRow {
  return { sequence, timeMs, topic, json };
}
