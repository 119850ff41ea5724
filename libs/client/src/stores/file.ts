import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CursorStore } from '../types.ts';

/**
 * Keeps the cursors of one process in a JSON file. A new file is written, synced and renamed over the old one, so that
 * a crash leaves one of the two. A file that is no such JSON is an error, and stays as it is.
 */
export function fileStore(path: string): CursorStore {
  let cursors: Promise<Record<string, string>> | undefined;
  let last: Promise<void> = Promise.resolve();
  const load = () => {
    cursors ??= read(path).catch((error) => {
      cursors = undefined;
      throw error;
    });
    return cursors;
  };
  return {
    get: async (key) => (await load())[key],
    set: (key, cursor) => {
      // One write after the other: two would rename in any order.
      last = last
        .catch(() => undefined)
        .then(async () => {
          const all = await load();
          all[key] = cursor;
          await write(path, JSON.stringify(all));
        });
      return last;
    },
  };
}

async function read(path: string): Promise<Record<string, string>> {
  try {
    return Object.assign(Object.create(null), JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Object.create(null);
    throw error;
  }
}

async function write(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}
