import type { Database, Statement } from 'better-sqlite3';
import type { Entry } from './dictionary.ts';
import type { Column } from './facets.ts';
import type { Order, Range } from './windows.ts';

/** Sequences read from one key at first; each further read takes twice as many. */
const CHUNK_FIRST = 16;
const CHUNK_LAST = 4096;

type KeyStatement = Statement<[number, number, number, number], number>;

/** Reads the sequences of single topics, types and sources from their indexes. */
export class KeyIndex {
  readonly #statements = new Map<string, KeyStatement>();

  constructor(database: Database) {
    for (const column of ['topic', 'type', 'source'] as const) {
      for (const order of ['asc', 'desc'] as const) {
        const statement = database.prepare<[number, number, number, number], number>(
          `SELECT sequence FROM events INDEXED BY events_by_${column}
           WHERE ${column}_id = ? AND sequence > ? AND sequence <= ?
           ORDER BY sequence ${order} LIMIT ?`,
        );
        this.#statements.set(`${column} ${order}`, statement.pluck());
      }
    }
  }

  statement(column: Column, order: Order): KeyStatement {
    const statement = this.#statements.get(`${column} ${order}`);
    if (!statement) throw new Error(`No statement for ${column} ${order}.`);
    return statement;
  }
}

interface Run {
  readonly id: number;
  range: Range;
  /** Sequences read and not yet given out, the next one last. */
  readonly ahead: number[];
  chunk: number;
  exhausted: boolean;
}

/**
 * Merges the sequences of many keys into one ordered flow, a batch at a time.
 *
 * Each key that ran out reads its next chunk. The batch is then complete up to where the first of
 * the chunks ends. Keys keep what they read ahead, and chunks double, so a key with few events
 * costs one seek and one with many soon reads in bulk.
 */
export class KeyMerge {
  readonly #statement: KeyStatement;
  readonly #order: Order;
  #runs: Run[];

  constructor(
    index: KeyIndex,
    from: { column: Column; keys: readonly Entry[]; range: Range; order: Order; wanted: number },
  ) {
    const { column, keys, range, order, wanted } = from;
    this.#statement = index.statement(column, order);
    this.#order = order;
    const chunk = Math.max(CHUNK_FIRST, Math.ceil((2 * wanted) / Math.max(keys.length, 1)));
    this.#runs = keys
      .filter(({ firstSequence, lastSequence }) => {
        return firstSequence <= range.through && lastSequence > range.after;
      })
      .map(({ id }) => ({ id, range, ahead: [], chunk, exhausted: false }));
  }

  /** The next sequences in order; none when all keys are exhausted. */
  next(): number[] {
    for (const run of this.#runs) if (run.ahead.length === 0 && !run.exhausted) this.#refill(run);
    this.#runs = this.#runs.filter(({ ahead }) => ahead.length > 0);
    const horizon = this.#horizon();
    const batch: number[] = [];
    for (const { ahead } of this.#runs) {
      for (let next = ahead.at(-1); next !== undefined && next * this.#sign <= horizon; ) {
        batch.push(next);
        ahead.pop();
        next = ahead.at(-1);
      }
    }
    return batch.sort((left, right) => (left - right) * this.#sign);
  }

  get #sign(): 1 | -1 {
    return this.#order === 'asc' ? 1 : -1;
  }

  /** The batch is complete up to here: the nearest end of a chunk behind which there may be more. */
  #horizon(): number {
    let horizon = Number.POSITIVE_INFINITY;
    for (const { ahead, exhausted } of this.#runs) {
      if (!exhausted) horizon = Math.min(horizon, (ahead[0] ?? 0) * this.#sign);
    }
    return horizon;
  }

  #refill(run: Run): void {
    const { after, through } = run.range;
    const found = this.#statement.all(run.id, after, through, run.chunk);
    run.exhausted = found.length < run.chunk;
    run.chunk = Math.min(run.chunk * 2, CHUNK_LAST);
    const last = found.at(-1);
    if (last === undefined) return;
    run.range = this.#order === 'asc' ? { after: last, through } : { after, through: last - 1 };
    run.ahead.push(...found.reverse());
  }
}
