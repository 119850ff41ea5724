const BUCKET_US = 20;
/** The buckets reach up to 20 s. Longer latencies count as 20 s. */
const BUCKETS = 1_000_000;

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Latencies in buckets of 20 µs: adding one costs a few nanoseconds. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxUs = 0;

  add(us: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, us / BUCKET_US) | 0);
    (this.#counts[bucket] as number)++;
    this.#count++;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxUs = 0;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50Ms: this.#percentile(0.5),
      p99Ms: this.#percentile(0.99),
      maxMs: this.#maxUs / 1000,
    };
  }

  /** The upper bound of the bucket that holds the percentile. */
  #percentile(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return ((bucket + 1) * BUCKET_US) / 1000;
    }
    return Number.NaN;
  }
}
