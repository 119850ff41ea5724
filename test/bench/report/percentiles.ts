export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @param us in microseconds, in any order */
export function percentiles(us: readonly number[]): Percentiles {
  const sorted = [...us].sort((left, right) => left - right);
  const at = (share: number) => (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN) / 1000;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
