/** Each bucket is five per cent wider than the one before. */
const GROWTH = Math.log(1.05);

/** The smallest time that is told apart, in ms. */
const SMALLEST_MS = 0.05;

/** Times in buckets of growing width, so that millions of them take no memory. */
export class Histogram {
  readonly #buckets: number[] = [];
  #count = 0;
  #maxMs = 0;

  /** How many times there are. */
  get count(): number {
    return this.#count;
  }

  /** Adds a time in ms. */
  add(ms: number): void {
    const index = Math.max(0, Math.ceil(Math.log(ms / SMALLEST_MS) / GROWTH)) || 0;
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count++;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** The time in ms below which a part of all is, from 0 to 1; up to 5 % too much. `undefined` without any. */
  quantile(part: number): number | undefined {
    if (this.#count === 0) return undefined;
    let left = Math.ceil(part * this.#count);
    for (const [index, count] of this.#buckets.entries()) {
      left -= count ?? 0;
      if (left <= 0) return Math.min(this.#maxMs, SMALLEST_MS * Math.exp(index * GROWTH));
    }
    return this.#maxMs;
  }
}
