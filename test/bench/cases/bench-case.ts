import type { Attack } from '../fairness/plan.ts';

/** What one run measured, by the names of the case. */
export type Values = Readonly<Record<string, number>>;

export interface Target {
  /** The name of the value that must reach the target. */
  readonly value: string;
  readonly text: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit: string;
}

export interface RunOptions {
  /** The attacks of the case `fairness`. */
  readonly attacks: readonly Attack[];
  /** A smaller run for a quick look. Its figures are not results. */
  readonly quick: boolean;
  readonly profileFolder: string | undefined;
}

export interface BenchCase {
  readonly name: string;
  readonly title: string;
  readonly targets: readonly Target[];
  /** The highest number of client sockets in one process. */
  readonly sockets: number;
  /** How it is measured, for the report. */
  readonly method: string;
  /** @throws Unverified when what arrived was not what had been published */
  run(options: RunOptions): Promise<Values>;
}
