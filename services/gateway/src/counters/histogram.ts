/**
 * A histogram as plain numbers, for the hot path: to add takes some nanoseconds, where a metrics
 * library takes some hundreds.
 */
export class Tally {
  /** Upper bounds, ascending; what lies above the last is counted too. */
  readonly bounds: readonly number[];
  /** How many fell under each bound and above the one before; the last for what is above all. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  add(value: number, times = 1): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index++;
    this.counts[index] = (this.counts[index] ?? 0) + times;
    this.sum += value * times;
  }
}
