import type { BenchCase, Target, Values } from '../cases/bench-case.ts';

export interface TargetResult extends Target {
  readonly figure: number;
  readonly met: boolean;
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  /** The verified runs. A case with a run that was not verified has no figures. */
  readonly runs: readonly Values[];
  readonly medians: Values;
  readonly targets: readonly TargetResult[];
  /** Why there are no figures. */
  readonly refused?: string;
}

export function evaluate({ name, title, method, targets }: BenchCase, runs: Values[]): CaseResult {
  const medians = medianOf(runs);
  const results = targets.map((target) => {
    const figure = medians[target.value] ?? Number.NaN;
    const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target;
    return { ...target, figure, met: figure >= atLeast && figure <= atMost };
  });
  return { name, title, method, runs, medians, targets: results };
}

export function refuse({ name, title, method }: BenchCase, refused: string): CaseResult {
  return { name, title, method, runs: [], medians: {}, targets: [], refused };
}

/** The median of each value by itself. */
export function medianOf(runs: readonly Values[]): Values {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const sorted = runs.map((values) => values[name] ?? Number.NaN).sort((a, b) => a - b);
      const middle = Math.floor(sorted.length / 2);
      const upper = sorted[middle] ?? Number.NaN;
      const lower = sorted[middle - 1] ?? Number.NaN;
      return [name, sorted.length % 2 === 1 ? upper : (lower + upper) / 2];
    }),
  );
}
