import type { ArchivedEvent } from '@tidemark/protocol';
import type { Database, Statement } from 'better-sqlite3';
import { EventTable } from './event-table.ts';
import { KeyIndex, type KeyReader } from './key-index.ts';
import type { LogRange, Order } from './log-range.ts';

/** An event without its content: `json` is empty, and `timeMs` is 0, because nobody asks for it. */
export interface ArchivedHeader extends ArchivedEvent {
  readonly type: string;
  /** Milliseconds since 1970; absent where it never expires. */
  readonly expiresMs?: number;
}

type HeaderRow = readonly [sequence: number, topic: string, type: string, expiresMs: number | null];

const HEADERS = `SELECT e.sequence, t.name, y.name, x.expires_ms FROM events e
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

function toHeader([sequence, topic, type, expiresMs]: HeaderRow): ArchivedHeader {
  const header = { sequence, timeMs: 0, topic, type, json: '' };
  return expiresMs === null ? header : { ...header, expiresMs };
}

type TopicHeaderRow = readonly [sequence: number, type: string, expiresMs: number | null];

/** Least and most headers in one read of a topic. */
const HEADERS_MIN = 16;
const HEADERS_MAX = 4096;

/** The columns are those of `TopicHeaderRow`, and the topic's id. */
type TogetherRow = readonly [...TopicHeaderRow, topicId: number];

/**
 * Reads single topics like `KeyIndex`, without the content of events. Many headers in one read take a third of the time
 * of as many reads of one, and 200 headers of 21 topics a quarter of the time of 21 reads.
 */
export class HeaderIndex extends KeyIndex {
  readonly #readers: Readonly<Record<Order, KeyReader<ArchivedHeader>>>;

  /** @param typed whether types are read; they are empty otherwise, and the index on topics alone is enough */
  constructor(database: Database, { typed }: { readonly typed: boolean }) {
    super(database);
    const events = 'events e INDEXED BY events_by_topic';
    const sql = typed
      ? { type: 'y.name', events: `${events} CROSS JOIN types y ON y.id = e.type_id` }
      : { type: "''", events };
    this.#readers = {
      asc: headerReader(database, sql, 'asc'),
      desc: headerReader(database, sql, 'desc'),
    };
  }

  override eventReader(order: Order): KeyReader<ArchivedHeader> {
    return this.#readers[order];
  }
}

/** What a reader of headers reads from: `''` and the events alone where no types are wanted. */
interface HeaderSql {
  readonly type: string;
  readonly events: string;
}

function headerReader(
  database: Database,
  { type, events }: HeaderSql,
  order: Order,
): KeyReader<ArchivedHeader> {
  const columns = `SELECT e.sequence, ${type}, x.expires_ms`;
  const expiring = 'LEFT JOIN expiring x ON x.sequence = e.sequence';
  const one = database
    .prepare<[number, number, number, number], TopicHeaderRow>(
      `${columns} FROM ${events} ${expiring}
       WHERE e.topic_id = ? AND e.sequence > ? AND e.sequence <= ?
       ORDER BY e.sequence ${order} LIMIT ?`,
    )
    .raw();
  const together = database
    .prepare<[string, number, number], TogetherRow>(
      `${columns}, e.topic_id FROM json_each(?) k CROSS JOIN ${events} ${expiring}
       WHERE e.topic_id = k.value AND e.sequence > ? AND e.sequence <= ?
       ORDER BY e.sequence ${order}`,
    )
    .raw();
  return {
    readItems({ id, name: topic }, { after, through }, limit) {
      const rows = one.all(id, after, through, limit);
      return rows.map((row) => toHeader([row[0], topic, row[1], row[2]]));
    },
    readTogether(keys, { after, through }) {
      const topics = new Map(keys.map(({ id, name }) => [id, name]));
      const rows = together.all(JSON.stringify([...topics.keys()]), after, through);
      return rows.map((row) => toHeader([row[0], topics.get(row[3]) ?? '', row[1], row[2]]));
    },
    sequenceOf: ({ sequence }) => sequence,
    firstLimit: (wanted) => Math.min(Math.max(HEADERS_MIN, wanted), HEADERS_MAX),
    nextLimit: ({ length }) => Math.min(length * 2, HEADERS_MAX),
  };
}
