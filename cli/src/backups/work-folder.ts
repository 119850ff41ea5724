import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, usageError } from '../base/errors.ts';

/**
 * Does something with an empty folder beside a file, so that both are on one disk. Nothing is left of the folder,
 * even if a second signal ends the process.
 *
 * @throws CliError where there cannot be a folder
 */
export async function withWorkFolder(
  file: string,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = createFolder(file);
  const end = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', end);
  try {
    await work(folder);
  } finally {
    end();
    process.off('exit', end);
  }
}

function createFolder(file: string): string {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return mkdtempSync(`${file}.work-`);
  } catch (error) {
    throw usageError(`${dirname(file)} cannot be written (${codeOf(error)}).`);
  }
}
