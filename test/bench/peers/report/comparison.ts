import type { Values } from '../../cases/bench-case.ts';
import { medianOf } from '../../report/case-result.ts';

/** What was measured of one system in one case. */
export interface Cell {
  readonly system: string;
  readonly case: string;
  readonly runs: readonly Values[];
  readonly medians: Values;
  /** Why there are no figures. */
  readonly missing?: string;
}

export function cellOf(names: Pick<Cell, 'system' | 'case'>, runs: readonly Values[]): Cell {
  return { ...names, runs, medians: medianOf(runs) };
}

export function missingCell(names: Pick<Cell, 'system' | 'case'>, missing: string): Cell {
  return { ...names, runs: [], medians: {}, missing };
}
