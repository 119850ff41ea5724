import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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

/** @returns the folder whose `src` has the file */
export function partOf({ part }: Mutation): string {
  return part ?? 'services/gateway';
}

/**
 * Makes the mistake in a copy of the sources.
 *
 * @throws Error where the text is not there once
 */
export function makeMistake(folder: string, mutation: Mutation): void {
  const { file, text, replacement, mistake } = mutation;
  const path = join(folder, partOf(mutation), 'src', file);
  const source = readFileSync(path, 'utf8');
  if (source.split(text).length !== 2) throw new Error(`${mistake}: the text is not there once.`);
  writeFileSync(
    path,
    source.replace(text, () => replacement),
  );
}
