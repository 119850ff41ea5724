const SECOND_MS = 1000;

/** What a key has counted since its second began, and when that ends on the clock of `performance.now`. */
export interface SecondCount {
  count: number;
  endMs: number;
}

/**
 * Counts of keys in seconds of their own: that of a key begins when it counts first, and ends without a trace. Nothing
 * waits for a promise, and one timer serves all keys, because every request asks here several times.
 */
export class SecondCounts {
  /** The oldest first: a second that begins anew goes to the end. */
  readonly #counts = new Map<string, SecondCount>();
  #timer: NodeJS.Timeout | undefined;

  /** Adds to the count of a key. */
  add(key: string, count: number): SecondCount {
    const known = this.get(key);
    if (known) {
      known.count += count;
      return known;
    }
    const begun = { count, endMs: performance.now() + SECOND_MS };
    this.#counts.delete(key);
    this.#counts.set(key, begun);
    this.#timer ??= setTimeout(() => this.#forget(), SECOND_MS).unref();
    return begun;
  }

  /** The count of a key; `undefined` where its second has ended. */
  get(key: string): SecondCount | undefined {
    const known = this.#counts.get(key);
    return known && known.endMs > performance.now() ? known : undefined;
  }

  /** The keys that take memory. */
  get size(): number {
    return this.#counts.size;
  }

  #forget(): void {
    const nowMs = performance.now();
    this.#timer = undefined;
    for (const [key, { endMs }] of this.#counts) {
      if (endMs > nowMs) {
        this.#timer = setTimeout(() => this.#forget(), SECOND_MS).unref();
        return;
      }
      this.#counts.delete(key);
    }
  }
}
