import type { ArchivedEvent } from '@tidemark/protocol';
import type { Database, Statement } from 'better-sqlite3';
import { EventTable } from './event-table.ts';
import type { LogRange, Order } from './log-range.ts';

/** An event without its content: `json` is empty. */
export interface ArchivedHeader extends ArchivedEvent {
  readonly type: string;
  /** Milliseconds since 1970; absent where it never expires. */
  readonly expiresMs?: number;
}

type HeaderRow = readonly [
  sequence: number,
  timeMs: number,
  topic: string,
  type: string,
  expiresMs: number | null,
];

const HEADERS = `SELECT e.sequence, e.time_ms, t.name, y.name, x.expires_ms FROM events e
  CROSS JOIN topics t ON t.id = e.topic_id CROSS JOIN types y ON y.id = e.type_id
  LEFT JOIN expiring x ON x.sequence = e.sequence`;

/** Reads events without their content, which costs the same for large events as for small ones. */
export class HeaderTable extends EventTable {
  readonly #header: Statement<[number], HeaderRow>;
  readonly #scan: Readonly<Record<Order, Statement<[number, number], HeaderRow>>>;

  constructor(database: Database) {
    super(database);
    // See `EventTable` for the plus.
    this.#header = database.prepare<[number], HeaderRow>(`${HEADERS} WHERE e.sequence = +?`).raw();
    const scan = (order: Order) =>
      database
        .prepare<[number, number], HeaderRow>(
          `${HEADERS} WHERE e.sequence > ? AND e.sequence <= ? ORDER BY e.sequence ${order}`,
        )
        .raw();
    this.#scan = { asc: scan('asc'), desc: scan('desc') };
  }

  override findEvent(sequence: number): ArchivedHeader | undefined {
    const row = this.#header.get(sequence);
    return row && toHeader(row);
  }

  override readEvent(sequence: number): ArchivedHeader {
    const header = this.findEvent(sequence);
    if (header) return header;
    throw new Error(`The archive has no event at ${sequence}, though an index names one.`);
  }

  override *scanEvents({ after, through }: LogRange, order: Order): Generator<ArchivedHeader> {
    for (const row of this.#scan[order].iterate(after, through)) yield toHeader(row);
  }
}

function toHeader([sequence, timeMs, topic, type, expiresMs]: HeaderRow): ArchivedHeader {
  const header = { sequence, timeMs, topic, type, json: '' };
  return expiresMs === null ? header : { ...header, expiresMs };
}
