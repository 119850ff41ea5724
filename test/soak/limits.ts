import type { Trend } from './trend.ts';

/** By how much a measured value may grow in the time of a soak, beside its noise. */
export interface Allowance {
  /** As a part of the median. */
  readonly part: number;
  /** In the unit of the value, for values near zero. */
  readonly amount: number;
}

const MIB = 1024 * 1024;

/** The allowance of each measured value, by its name. */
export const ALLOWANCES: Readonly<Record<string, Allowance>> = {
  memory: { part: 0.1, amount: 8 * MIB },
  descriptors: { part: 0.1, amount: 8 },
  timers: { part: 0.2, amount: 10 },
  consumers: { part: 0.2, amount: 3 },
  loopDelayMs: { part: 0.5, amount: 10 },
};

/** Whether a value has grown by more than it may. */
export function hasGrown(
  { median, growth, isCertain }: Trend,
  { part, amount }: Allowance,
): boolean {
  return isCertain && growth > Math.max(amount, part * median);
}
