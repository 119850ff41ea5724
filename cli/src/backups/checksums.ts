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

/** Compares the files of a folder with their sums. @throws CliError that names what is missing, damaged or without a sum */
export async function verifyChecksums(
  folder: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const sums = readSums(folder);
  const present = readdirSync(folder).filter((name) => name !== CHECKSUMS);
  const unknown = present.find((name) => !sums.has(name));
  if (unknown !== undefined) throw new CliError(`${unknown} of the backup has no sum.`);
  for (const [name, sum] of sums) {
    if (!present.includes(name)) {
      throw new CliError(`The backup lacks its file ${name}.`);
    }
    if ((await sumOf(join(folder, name), onBytes)) !== sum) {
      throw new CliError(`${name} of the backup has been changed or is damaged.`);
    }
  }
}

function readSums(folder: string): ReadonlyMap<string, unknown> {
  try {
    const sums = new Map(Object.entries(JSON.parse(readFileSync(join(folder, CHECKSUMS), 'utf8'))));
    if (sums.size > 0) return sums;
  } catch {
    // The same is wrong with a file that is missing, and with one that is no JSON.
  }
  throw new CliError('The file is no backup of `tidemark backup`, or it is not complete.');
}

async function sumOf(path: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    onBytes((chunk as Buffer).length);
  }
  return hash.digest('hex');
}
