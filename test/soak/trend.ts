/** A value at a time. */
export interface Sample {
  readonly atS: number;
  readonly value: number;
}

/** How a series goes on over its time. */
export interface Trend {
  readonly median: number;
  /** By how much the series grows over the time that the samples cover. */
  readonly growth: number;
  /** Whether a series without a trend would look like this once in a hundred times at most. */
  readonly isCertain: boolean;
}

/** The quantile of the normal distribution for one in a hundred, on one side. */
const ONE_IN_A_HUNDRED = 2.326;

/**
 * The trend of a series: its growth by the slope of Theil and Sen, the median of the slopes between all
 * pairs, which outliers such as a garbage collection do not move; and its certainty by the test of Mann
 * and Kendall, which counts the pairs that rise. It compares all pairs: take some hundred samples at most.
 */
export function trendOf(samples: readonly Sample[]): Trend {
  const slopes: number[] = [];
  let rising = 0;
  for (const [index, early] of samples.entries()) {
    for (const late of samples.slice(index + 1)) {
      slopes.push((late.value - early.value) / (late.atS - early.atS));
      rising += Math.sign(late.value - early.value);
    }
  }
  const [first, last] = [samples[0], samples.at(-1)];
  const growth = median(slopes) * ((last?.atS ?? 0) - (first?.atS ?? 0));
  return {
    median: median(samples.map(({ value }) => value)),
    growth,
    isCertain: Math.abs(rising) > ONE_IN_A_HUNDRED * deviation(samples),
  };
}

/** The standard deviation of rising minus falling pairs where there is no trend, with ties left out. */
function deviation(samples: readonly Sample[]): number {
  const variance = (n: number): number => (n * (n - 1) * (2 * n + 5)) / 18;
  const ties = new Map<number, number>();
  for (const { value } of samples) ties.set(value, (ties.get(value) ?? 0) + 1);
  const tied = [...ties.values()].reduce((sum, count) => sum + variance(count), 0);
  return Math.sqrt(variance(samples.length) - tied);
}

/** The median; 0 of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? 0) + high) / 2;
}
