import { type Distribution, toTenth } from './distribution.ts';

/** How far back growth is measured, in ms. */
export const GROWTH_MS = 10_000;

/** What only grows: counters, and histograms whose counts do. */
export interface Growing<C extends string, H extends string> {
  readonly counters: Readonly<Record<C, number>>;
  readonly histograms: Readonly<Record<H, Distribution>>;
}

interface Sample<C extends string, H extends string> {
  readonly atMs: number;
  readonly counters: Readonly<Record<C, number>>;
  readonly counts: Readonly<Record<H, readonly number[]>>;
}

/**
 * Growth: how much counters and histograms grew in the last 10 s, as samples of once a second show it. A process that
 * is younger, or was not sampled for longer, has the growth since the sample that there is.
 *
 * @example
 * growth.sample(performance.now());
 * growth.perSecond('events'); // 12.3
 */
export class Growth<C extends string, H extends string = never> {
  readonly #read: () => Growing<C, H>;
  readonly #samples: Sample<C, H>[] = [];

  constructor(read: () => Growing<C, H>, nowMs: number) {
    this.#read = read;
    this.sample(nowMs);
  }

  /** Notes what the counters are now. The samples before the last 10 s are forgotten. */
  sample(nowMs: number): void {
    const { counters, histograms } = this.#read();
    const entries = Object.entries(histograms) as [H, Distribution][];
    const counts = Object.fromEntries(entries.map(([name, { counts: all }]) => [name, [...all]]));
    const kept = counts as unknown as Sample<C, H>['counts'];
    this.#samples.push({ atMs: nowMs, counters: { ...counters }, counts: kept });
    while (this.#samples.length > 2 && (this.#samples[0]?.atMs ?? nowMs) < nowMs - GROWTH_MS) {
      this.#samples.shift();
    }
  }

  /** How much a counter grew in a second, to a tenth. */
  perSecond(name: C): number {
    const { first, last } = this.#ends();
    const seconds = (last.atMs - first.atMs) / 1000;
    return seconds <= 0 ? 0 : toTenth((last.counters[name] - first.counters[name]) / seconds);
  }

  /** What a histogram has got. */
  distribution(name: H): Distribution {
    const { first, last } = this.#ends();
    const before = first.counts[name];
    const counts = last.counts[name].map((count, index) => count - (before[index] ?? 0));
    return { bounds: this.#read().histograms[name].bounds, counts };
  }

  #ends(): { readonly first: Sample<C, H>; readonly last: Sample<C, H> } {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last) throw new Error('There is always a sample.');
    return { first, last };
  }
}
