/** A deliberate mistake that a checker must find. */
export interface Mutation {
  /** What the code then does wrong. */
  readonly mistake: string;
  /** The folder whose `src` has the file; `services/gateway` if absent. */
  readonly part?: 'libs/fairness' | 'libs/nats' | 'services/replay';
  /** The file, relative to `src`. */
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  /** The unit test beside the file that finds it, where no world or few worlds do. */
  readonly test?: string;
}
