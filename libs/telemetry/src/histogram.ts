/**
 * A histogram as plain numbers, for the hot path. Observing a value takes some nanoseconds; a metrics
 * library takes some hundreds.
 */
export class Histogram {
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  /** The number of values in each bucket, not cumulative; the last counts values above all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number, times = 1): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index++;
    this.counts[index] = (this.counts[index] ?? 0) + times;
    this.sum += value * times;
  }
}
