import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { KeyReader } from '../sqlite/key-index.ts';
import { type LogRange, type Order, restBehind } from '../sqlite/log-range.ts';

/** How far the merge has read one key. */
interface Run<T> {
  readonly key: DictionaryEntry;
  /** What it has yet to read of the key. */
  range: LogRange;
  /** Read and not yet given out, the next one last. */
  readonly ahead: T[];
  /** Items in its next read. */
  limit: number;
  exhausted: boolean;
}

/**
 * Merges the events of many keys into one ordered flow, a batch at a time.
 *
 * Each key that has no items left reads more. The batch is then complete up to where the first of
 * these reads ends. Keys keep what they read ahead, and their reads grow, so a key with few events
 * costs a seek or two and one with many soon reads in bulk.
 */
export class KeyMerge<T> {
  readonly #reader: KeyReader<T>;
  readonly #order: Order;
  #runs: Run<T>[];

  constructor(
    reader: KeyReader<T>,
    from: { keys: readonly DictionaryEntry[]; range: LogRange; order: Order; wanted: number },
  ) {
    const { keys, range, order, wanted } = from;
    this.#reader = reader;
    this.#order = order;
    const limit = reader.firstLimit(Math.ceil((2 * wanted) / Math.max(keys.length, 1)));
    this.#runs = keys
      .filter(({ firstSequence, lastSequence }) => {
        return firstSequence <= range.through && lastSequence > range.after;
      })
      .map((key) => ({ key, range, ahead: [], limit, exhausted: false }));
  }

  /** The next items in order; none when all keys are exhausted. */
  nextBatch(): T[] {
    for (const run of this.#runs) if (run.ahead.length === 0 && !run.exhausted) this.#refill(run);
    this.#runs = this.#runs.filter(({ ahead }) => ahead.length > 0);
    const horizon = this.#horizon();
    const batch: T[] = [];
    for (const { ahead } of this.#runs) {
      for (let next = ahead.at(-1); next !== undefined && this.#rank(next) <= horizon; ) {
        batch.push(next);
        ahead.pop();
        next = ahead.at(-1);
      }
    }
    return batch.sort((left, right) => this.#rank(left) - this.#rank(right));
  }

  /** Grows in the direction of reading. */
  #rank(item: T): number {
    const sequence = this.#reader.sequenceOf(item);
    return this.#order === 'asc' ? sequence : -sequence;
  }

  /** The batch is complete up to here: the nearest end of a read behind which there may be more. */
  #horizon(): number {
    let horizon = Number.POSITIVE_INFINITY;
    for (const { ahead, exhausted } of this.#runs) {
      const [last] = ahead;
      if (!exhausted && last !== undefined) horizon = Math.min(horizon, this.#rank(last));
    }
    return horizon;
  }

  #refill(run: Run<T>): void {
    const found = this.#reader.readItems(run.key, run.range, run.limit);
    run.exhausted = found.length < run.limit;
    const last = found.at(-1);
    if (last === undefined) return;
    run.limit = this.#reader.nextLimit(found);
    run.range = restBehind(run.range, this.#reader.sequenceOf(last), this.#order);
    run.ahead.push(...found.reverse());
  }
}
