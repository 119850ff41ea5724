import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { Process } from '../world/processes.ts';

const FILLED_MS = 30_000;
const POLL_MS = 500;

/**
 * An archive is lost with its disk, while the other one has all of it. Its service has to make a new one from
 * the stream and the other archive. Resolves when it has, or after 30 s.
 *
 * @param own the file of the process
 * @param other the file of another replay service, which no fault hits meanwhile
 */
export async function loseArchive(
  process: Process,
  own: string,
  other: string,
  lastsMs: number,
): Promise<void> {
  await process.end('SIGKILL');
  if (hasAll(other, own)) {
    for (const suffix of ['', '-wal', '-shm']) await rm(`${own}${suffix}`, { force: true });
  }
  await sleep(lastsMs);
  await process.start();
  const deadlineMs = performance.now() + FILLED_MS;
  while (!hasAll(own, other) && performance.now() < deadlineMs) await sleep(POLL_MS);
}

/** Whether an archive has every event of another one. */
function hasAll(file: string, other: string): boolean {
  try {
    const database = new Database(file, { readonly: true });
    try {
      database.prepare('ATTACH ? AS other').run(other);
      const lacks =
        'SELECT 1 FROM other.events WHERE sequence NOT IN (SELECT sequence FROM events)';
      return database.prepare(`${lacks} LIMIT 1`).get() === undefined;
    } finally {
      database.close();
    }
  } catch {
    // It is not there yet, or busy.
    return false;
  }
}
