import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../base/errors.ts';

/** The file of a backup with the SHA-256 of all others: a tar has no sums of its own for what is in it. */
export const CHECKSUMS = 'checksums.json';

/** Writes the sums of all files of a folder. @param onBytes hears how many bytes were read */
export async function writeChecksums(
  folder: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const sums: Record<string, string> = {};
  for (const name of readdirSync(folder).sort()) {
    sums[name] = await sumOf(join(folder, name), onBytes);
  }
  writeFileSync(join(folder, CHECKSUMS), `${JSON.stringify(sums, undefined, 2)}\n`);
}

/** Compares the files of a folder with their sums. @throws CliError that names what is missing or damaged */
export async function verifyChecksums(
  folder: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let sums: Record<string, string>;
  try {
    sums = JSON.parse(readFileSync(join(folder, CHECKSUMS), 'utf8'));
  } catch {
    throw new CliError('The file is no backup of `tidemark backup`, or it is not complete.');
  }
  const present = readdirSync(folder);
  for (const [name, sum] of Object.entries(sums)) {
    if (!present.includes(name)) {
      throw new CliError(`The backup lacks its file ${name}.`);
    }
    if ((await sumOf(join(folder, name), onBytes)) !== sum) {
      throw new CliError(`${name} of the backup has been changed or is damaged.`);
    }
  }
}

async function sumOf(path: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    onBytes((chunk as Buffer).length);
  }
  return hash.digest('hex');
}
