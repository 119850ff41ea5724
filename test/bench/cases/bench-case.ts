/** What one run measured, by the names of the case. */
export type Values = Readonly<Record<string, number>>;

export interface Target {
  /** The value that it is about. */
  readonly value: string;
  readonly text: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit: string;
}

export interface RunOptions {
  /** Smaller, for a look; its figures are no results. */
  readonly quick: boolean;
  readonly profileFolder: string | undefined;
}

export interface BenchCase {
  readonly name: string;
  readonly title: string;
  readonly targets: readonly Target[];
  /** Most client sockets in one process. */
  readonly sockets: number;
  /** How it is measured, for the report. */
  readonly method: string;
  /** @throws Unverified when what arrived was not what had been published */
  run(options: RunOptions): Promise<Values>;
}
