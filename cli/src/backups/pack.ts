import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, messageOf } from '../base/errors.ts';

const POLL_MS = 200;

/** A step that reads `done` of `total` bytes. */
export type OnBytes = (done: number, total: number) => void;

/** Bytes of all files of a folder without folders in it. */
export function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** Packs a folder into one file, whole or not at all. With `.gz` or `.tgz` at its end it is compressed. */
export async function pack(folder: string, file: string, onBytes: OnBytes): Promise<void> {
  const { create } = await import('tar');
  const partial = `${file}.partial`;
  const total = sizeOf(folder);
  let done = 0;
  try {
    await create(
      {
        file: partial,
        cwd: folder,
        gzip: /\.t?gz$/.test(file),
        mode: 0o600,
        portable: true,
        strict: true,
        onWriteEntry: (entry) => {
          onBytes(done, total);
          done += entry.stat?.size ?? 0;
        },
      },
      // The manifest and the sums first, so that a look at the beginning tells what it is.
      readdirSync(folder).sort((left, right) => rank(left) - rank(right)),
    );
    sync(partial);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new CliError(`${file} cannot be written: ${messageOf(error)}`);
  }
}

/** Unpacks a file into a folder. @throws CliError where it is no such file, or damaged */
export async function unpack(file: string, folder: string, onBytes: OnBytes): Promise<void> {
  const { extract } = await import('tar');
  const total = statSync(file).size;
  const timer = setInterval(() => onBytes(sizeOf(folder), total), POLL_MS);
  try {
    await extract({
      file,
      cwd: folder,
      strict: true,
      // Only plain files at the top: nothing of a backup is anywhere else.
      filter: (path, entry) => {
        const isFile = 'type' in entry ? entry.type === 'File' : entry.isFile();
        return isFile && !/[/\\]/.test(path.replace(/^\.\//, ''));
      },
    });
  } catch (error) {
    throw new CliError(`${file} cannot be unpacked: ${messageOf(error)}`);
  } finally {
    clearInterval(timer);
  }
}

function rank(name: string): number {
  return name.endsWith('.json') ? 0 : 1;
}

/** Makes sure that the bytes are on the disk before the name is. */
function sync(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
