import type { Database } from 'better-sqlite3';
import type { Entry } from './dictionary.ts';
import type { Column } from './facets.ts';
import type { Order, Range, StoredRow } from './windows.ts';

type KeyParameters = [id: number, after: number, through: number, limit: number];
type RawRow = readonly [sequence: number, timeMs: number, json: string];

/** How the events of one key are read. */
export interface KeyReader<T> {
  /** At most `limit` of a range, in order. */
  read(key: Entry, range: Range, limit: number): T[];
  sequenceOf(item: T): number;
  /** How many are read from one key at first, of which so many may be wanted; */
  chunkFirst(wanted: number): number;
  /** and how many after these. */
  chunkAfter(items: readonly T[]): number;
}

/** Sequences that are read from one key at a time. */
const SEQUENCES_MIN = 16;
const SEQUENCES_MAX = 4096;

/**
 * Rows that are read from one key at a time, and what they may come to in JSON, as far as the ones
 * before tell. Events may be large, and what is read ahead of a full page is read in vain: 32 events
 * of 250 KB on each of eight topics took up to half a second a page.
 */
const ROWS_FIRST = 1;
const ROWS_MAX = 64;
const ROWS_LENGTH_MAX = 16 * 1024;

/** Reads single topics, types and sources from their indexes. */
export class KeyIndex {
  readonly #sequences = new Map<string, KeyReader<number>>();
  readonly #rows = new Map<Order, KeyReader<StoredRow>>();

  constructor(database: Database) {
    for (const order of ['asc', 'desc'] as const) {
      for (const column of ['topic', 'type', 'source'] as const) {
        this.#sequences.set(`${column} ${order}`, sequenceReader(database, column, order));
      }
      this.#rows.set(order, rowReader(database, order));
    }
  }

  sequences(column: Column, order: Order): KeyReader<number> {
    return known(this.#sequences.get(`${column} ${order}`));
  }

  /** Whole events of topics: half the cost where each of them is wanted, and few topics. */
  rows(order: Order): KeyReader<StoredRow> {
    return known(this.#rows.get(order));
  }
}

function sequenceReader(database: Database, column: Column, order: Order): KeyReader<number> {
  const sql = select(column, order, 'sequence');
  const statement = database.prepare<KeyParameters, number>(sql).pluck();
  return {
    read: ({ id }, { after, through }, limit) => statement.all(id, after, through, limit),
    sequenceOf: (sequence) => sequence,
    chunkFirst: (wanted) => Math.min(Math.max(SEQUENCES_MIN, wanted), SEQUENCES_MAX),
    chunkAfter: ({ length }) => Math.min(length * 2, SEQUENCES_MAX),
  };
}

function rowReader(database: Database, order: Order): KeyReader<StoredRow> {
  const sql = select('topic', order, 'sequence, time_ms, json');
  const statement = database.prepare<KeyParameters, RawRow>(sql).raw();
  return {
    read: ({ id, name: topic }, { after, through }, limit) => {
      const rows = statement.all(id, after, through, limit);
      // Not by destructuring, which takes an iterator for each of a million rows.
      return rows.map((row) => ({ sequence: row[0], timeMs: row[1], topic, json: row[2] }));
    },
    sequenceOf: ({ sequence }) => sequence,
    chunkFirst: () => ROWS_FIRST,
    chunkAfter(rows) {
      const length = rows.reduce((sum, { json }) => sum + json.length, 0);
      const fitting = Math.floor((ROWS_LENGTH_MAX * rows.length) / Math.max(length, 1));
      return Math.min(Math.max(fitting, 1), ROWS_MAX);
    },
  };
}

function select(column: Column, order: Order, columns: string): string {
  return `SELECT ${columns} FROM events INDEXED BY events_by_${column}
    WHERE ${column}_id = ? AND sequence > ? AND sequence <= ?
    ORDER BY sequence ${order} LIMIT ?`;
}

function known<T>(reader: T | undefined): T {
  if (reader === undefined) throw new Error('There is no such index.');
  return reader;
}

interface Run<T> {
  readonly key: Entry;
  range: Range;
  /** Read and not yet given out, the next one last. */
  readonly ahead: T[];
  chunk: number;
  exhausted: boolean;
}

/**
 * Merges the events of many keys into one ordered flow, a batch at a time.
 *
 * Each key that ran out reads its next chunk. The batch is then complete up to where the first of
 * the chunks ends. Keys keep what they read ahead, and chunks grow, so a key with few events costs
 * a seek or two and one with many soon reads in bulk.
 */
export class KeyMerge<T> {
  readonly #reader: KeyReader<T>;
  readonly #sign: 1 | -1;
  #runs: Run<T>[];

  constructor(
    reader: KeyReader<T>,
    from: { keys: readonly Entry[]; range: Range; order: Order; wanted: number },
  ) {
    const { keys, range, order, wanted } = from;
    this.#reader = reader;
    this.#sign = order === 'asc' ? 1 : -1;
    const chunk = reader.chunkFirst(Math.ceil((2 * wanted) / Math.max(keys.length, 1)));
    this.#runs = keys
      .filter(({ firstSequence, lastSequence }) => {
        return firstSequence <= range.through && lastSequence > range.after;
      })
      .map((key) => ({ key, range, ahead: [], chunk, exhausted: false }));
  }

  /** The next events in order; none when all keys are exhausted. */
  next(): T[] {
    for (const run of this.#runs) if (run.ahead.length === 0 && !run.exhausted) this.#refill(run);
    this.#runs = this.#runs.filter(({ ahead }) => ahead.length > 0);
    const horizon = this.#horizon();
    const batch: T[] = [];
    for (const { ahead } of this.#runs) {
      for (let next = ahead.at(-1); next !== undefined && this.#place(next) <= horizon; ) {
        batch.push(next);
        ahead.pop();
        next = ahead.at(-1);
      }
    }
    return batch.sort((left, right) => this.#place(left) - this.#place(right));
  }

  /** Grows in the direction of reading. */
  #place(item: T): number {
    return this.#reader.sequenceOf(item) * this.#sign;
  }

  /** The batch is complete up to here: the nearest end of a chunk behind which there may be more. */
  #horizon(): number {
    let horizon = Number.POSITIVE_INFINITY;
    for (const { ahead, exhausted } of this.#runs) {
      const [last] = ahead;
      if (!exhausted && last !== undefined) horizon = Math.min(horizon, this.#place(last));
    }
    return horizon;
  }

  #refill(run: Run<T>): void {
    const { after, through } = run.range;
    const found = this.#reader.read(run.key, run.range, run.chunk);
    run.exhausted = found.length < run.chunk;
    const last = found.at(-1);
    if (last === undefined) return;
    run.chunk = this.#reader.chunkAfter(found);
    const sequence = this.#reader.sequenceOf(last);
    run.range = this.#sign > 0 ? { after: sequence, through } : { after, through: sequence - 1 };
    run.ahead.push(...found.reverse());
  }
}
