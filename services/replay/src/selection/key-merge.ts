import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { KeyReader } from '../sqlite/key-index.ts';
import { type LogRange, type Order, restBehind } from '../sqlite/log-range.ts';

/** Most items that the keys of a merge have read ahead together, beyond the least of each. */
const AHEAD_MAX = 65_536;

/** Most items that all keys may have for one read of them together: a millisecond. */
const TOGETHER_MAX = 1024;

/** How far the merge has read one key. */
interface Run<T> {
  readonly key: DictionaryEntry;
  /** What it has yet to read of the key. */
  range: LogRange;
  /** Read and not yet given out, the next one last. */
  ahead: T[];
  /** The rank of the next item; while none is read ahead, that item ranks no lower. */
  rank: number;
  /** Items in its next read. */
  limit: number;
  exhausted: boolean;
}

/**
 * Merges the events of many keys into one ordered flow.
 *
 * The keys form a heap by their next items. A key is read only when the flow has come to where its next item
 * may be, and its reads grow. A key with few events costs a seek or two, one with many soon reads in bulk,
 * and an item costs a few comparisons however many keys there are. Where all keys together have few events, a reader
 * may read them at once.
 */
export class KeyMerge<T> {
  readonly #reader: KeyReader<T>;
  readonly #order: Order;
  readonly #limitMax: number;
  /** A binary heap: no run ranks lower than the one at half its index. */
  readonly #heap: Run<T>[];

  constructor(
    reader: KeyReader<T>,
    from: { keys: readonly DictionaryEntry[]; range: LogRange; order: Order; wanted: number },
  ) {
    const { keys, range, order, wanted } = from;
    this.#reader = reader;
    this.#order = order;
    const limit = reader.firstLimit(Math.ceil((2 * wanted) / Math.max(keys.length, 1)));
    this.#limitMax = Math.max(limit, Math.floor(AHEAD_MAX / Math.max(keys.length, 1)));
    const within = keys.filter(({ firstSequence, lastSequence }) => {
      return firstSequence <= range.through && lastSequence > range.after;
    });
    this.#heap =
      this.#readTogether(within, range) ??
      within
        .map((key) => {
          const rank = lowestRank(key, range, order);
          return { key, range, ahead: [], rank, limit, exhausted: false };
        })
        .sort((left, right) => left.rank - right.rank);
  }

  /** Few items of many keys are one run, which has been read. @returns `undefined` where they may be many */
  #readTogether(keys: readonly DictionaryEntry[], range: LogRange): Run<T>[] | undefined {
    const [key] = keys;
    const most = keys.reduce((sum, { count }) => sum + count, 0);
    if (!key || keys.length === 1 || most > TOGETHER_MAX) return undefined;
    const ahead = this.#reader.readTogether?.(keys, range).reverse();
    const next = ahead?.at(-1);
    if (!ahead || next === undefined) return ahead && [];
    return [{ key, range, ahead, rank: this.#rankOf(next), limit: 0, exhausted: true }];
  }

  /** The next item, which `takeNext` removes; `undefined` when all keys are exhausted. */
  peekNext(): T | undefined {
    for (let run = this.#heap[0]; run; run = this.#heap[0]) {
      const next = run.ahead.at(-1);
      if (next !== undefined) return next;
      if (run.exhausted) this.#removeFirst();
      else {
        this.#refill(run);
        this.#sink();
      }
    }
    return undefined;
  }

  /** Removes the item that `peekNext` returned. */
  takeNext(): void {
    const [run] = this.#heap;
    if (!run) return;
    run.ahead.pop();
    const next = run.ahead.at(-1);
    run.rank = next === undefined ? run.rank + 1 : this.#rankOf(next);
    this.#sink();
  }

  /** Grows in the direction of reading. */
  #rankOf(item: T): number {
    const sequence = this.#reader.sequenceOf(item);
    return this.#order === 'asc' ? sequence : -sequence;
  }

  #refill(run: Run<T>): void {
    const found = this.#reader.readItems(run.key, run.range, run.limit);
    run.exhausted = found.length < run.limit;
    const [first] = found;
    const last = found.at(-1);
    if (first === undefined || last === undefined) return;
    run.limit = Math.min(this.#reader.nextLimit(found), this.#limitMax);
    run.range = restBehind(run.range, this.#reader.sequenceOf(last), this.#order);
    run.rank = this.#rankOf(first);
    run.ahead = found.reverse();
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  /** Moves the first run down to its place, after its rank has grown. */
  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      const lower = this.#rankAt(right) < this.#rankAt(left) ? right : left;
      const run = heap[at];
      const child = heap[lower];
      if (!run || !child || run.rank <= child.rank) return;
      heap[at] = child;
      heap[lower] = run;
      at = lower;
    }
  }

  #rankAt(index: number): number {
    return this.#heap[index]?.rank ?? Number.POSITIVE_INFINITY;
  }
}

function lowestRank(key: DictionaryEntry, { after, through }: LogRange, order: Order): number {
  return order === 'asc'
    ? Math.max(key.firstSequence, after + 1)
    : -Math.min(key.lastSequence, through);
}
