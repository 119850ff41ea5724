import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliError } from './errors.ts';

/** The folder of the checkout that this program is a part of. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Whether the programs of the launcher are there, as in a checkout. */
export function isCheckout(): boolean {
  return existsSync(fileOf('infra/launcher/token.mjs'));
}

/** The path of a file of the checkout. */
export function fileOf(path: string): string {
  return fileURLToPath(new URL(`../../../${path}`, import.meta.url));
}

/**
 * Loads a program of `infra`, which has no types of its own.
 *
 * @throws CliError where this is no checkout
 */
export async function loadProgram<T>(path: string): Promise<T> {
  if (!existsSync(fileOf(path))) {
    throw new CliError(`${path} is missing: this needs a checkout of Tidemark that is built.`);
  }
  return (await import(new URL(`../../../${path}`, import.meta.url).href)) as T;
}
