/** How many values were at most each of some bounds, and last those above all of them. The counts are not cumulative. */
export interface Distribution {
  /** Ascending. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

/** Puts distributions together. Their bounds may differ, as those of two versions do. */
export function mergeDistributions(all: readonly Distribution[]): Distribution {
  const byBound = new Map<number, number>();
  for (const { bounds, counts } of all) {
    for (const [index, count] of counts.entries()) {
      const bound = bounds[index] ?? Number.POSITIVE_INFINITY;
      byBound.set(bound, (byBound.get(bound) ?? 0) + count);
    }
  }
  const sorted = [...byBound].sort(([left], [right]) => left - right);
  const bounds = sorted.map(([bound]) => bound).filter(Number.isFinite);
  return { bounds, counts: [...bounds, Number.POSITIVE_INFINITY].map((b) => byBound.get(b) ?? 0) };
}

/**
 * Estimates the value that a part of all values is at most, as if those of a bucket lay evenly in it. For values above
 * all bounds that is the highest bound.
 *
 * @param part from 0 to 1, such as 0.99
 * @returns `undefined` where there are no values
 */
export function quantileOf({ bounds, counts }: Distribution, part: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = part * total;
  for (const [index, count] of counts.entries()) {
    const to = bounds[index];
    if (to === undefined) break;
    const from = bounds[index - 1] ?? 0;
    if (count > 0 && left <= count) return from + ((to - from) * left) / count;
    left -= count;
  }
  return bounds.at(-1) ?? 0;
}

/** The median and the 99th percentile, to a tenth; `null` where there are no values. */
export function percentilesOf(values: Distribution): { p50: number; p99: number } | null {
  const [p50, p99] = [quantileOf(values, 0.5), quantileOf(values, 0.99)];
  return p50 === undefined || p99 === undefined ? null : { p50: toTenth(p50), p99: toTenth(p99) };
}

/** Rounds to a tenth, as figures for people are. */
export function toTenth(value: number): number {
  return Math.round(value * 10) / 10;
}
