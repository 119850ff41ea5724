import assert from 'node:assert';
import type { ArchivedEvent } from '@tidemark/protocol';
import type { Database } from 'better-sqlite3';
import type { Column, DictionaryEntry } from './dictionary.ts';
import type { LogRange, Order } from './log-range.ts';

type KeyParameters = [id: number, after: number, through: number, limit: number];
type TopicEventRow = readonly [sequence: number, timeMs: number, json: string];

/** Reads the events of one key, which is a topic, a type or a source. `T` is what it reads of each. */
export interface KeyReader<T> {
  /** At most `limit` items of a range, in the reader's order. */
  readItems(key: DictionaryEntry, range: LogRange, limit: number): T[];
  sequenceOf(item: T): number;
  /** How many items to read from a key at first, of which `wanted` may be needed. */
  firstLimit(wanted: number): number;
  /** How many items to read from a key after these. */
  nextLimit(items: readonly T[]): number;
  /** All items of a range of some keys, in the reader's order; absent where it reads keys one by one. */
  readTogether?(keys: readonly DictionaryEntry[], range: LogRange): T[];
}

/** Least and most sequences in one read of a key. */
const SEQUENCES_MIN = 16;
const SEQUENCES_MAX = 4096;

/**
 * Events in the first read of a key, most events in a later one, and the length of JSON that a later
 * one aims at. Events may be large, and those beyond a full page are read in vain: reading 32 events of
 * 250 KB on each of eight topics took up to half a second for each page.
 */
const EVENTS_FIRST = 1;
const EVENTS_MAX = 64;
const EVENTS_LENGTH_MAX = 16 * 1024;

/** Reads single topics, types and sources from their indexes. */
export class KeyIndex {
  readonly #sequences = new Map<string, KeyReader<number>>();
  readonly #events = new Map<Order, KeyReader<ArchivedEvent>>();

  constructor(database: Database) {
    for (const order of ['asc', 'desc'] as const) {
      for (const column of ['topic', 'type', 'source'] as const) {
        this.#sequences.set(`${column} ${order}`, sequenceReader(database, column, order));
      }
      this.#events.set(order, eventReader(database, order));
    }
  }

  sequenceReader(column: Column, order: Order): KeyReader<number> {
    const reader = this.#sequences.get(`${column} ${order}`);
    assert(reader);
    return reader;
  }

  /** Reads whole events of topics. This halves the cost for few topics whose events are all wanted. */
  eventReader(order: Order): KeyReader<ArchivedEvent> {
    const reader = this.#events.get(order);
    assert(reader);
    return reader;
  }
}

function sequenceReader(database: Database, column: Column, order: Order): KeyReader<number> {
  const sql = select(column, order, 'sequence');
  const statement = database.prepare<KeyParameters, number>(sql).pluck();
  return {
    readItems: ({ id }, { after, through }, limit) => statement.all(id, after, through, limit),
    sequenceOf: (sequence) => sequence,
    firstLimit: (wanted) => Math.min(Math.max(SEQUENCES_MIN, wanted), SEQUENCES_MAX),
    nextLimit: ({ length }) => Math.min(length * 2, SEQUENCES_MAX),
  };
}

function eventReader(database: Database, order: Order): KeyReader<ArchivedEvent> {
  const sql = select('topic', order, 'sequence, time_ms, json');
  const statement = database.prepare<KeyParameters, TopicEventRow>(sql).raw();
  return {
    readItems: ({ id, name: topic }, { after, through }, limit) => {
      const rows = statement.all(id, after, through, limit);
      // Destructuring would create an iterator for each of a million rows.
      return rows.map((row) => ({ sequence: row[0], timeMs: row[1], topic, json: row[2] }));
    },
    sequenceOf: ({ sequence }) => sequence,
    firstLimit: () => EVENTS_FIRST,
    nextLimit(events) {
      const length = events.reduce((sum, { json }) => sum + json.length, 0);
      const fitting = Math.floor((EVENTS_LENGTH_MAX * events.length) / Math.max(length, 1));
      return Math.min(Math.max(fitting, 1), EVENTS_MAX);
    },
  };
}

function select(column: Column, order: Order, columns: string): string {
  return `SELECT ${columns} FROM events INDEXED BY events_by_${column}
    WHERE ${column}_id = ? AND sequence > ? AND sequence <= ?
    ORDER BY sequence ${order} LIMIT ?`;
}
