import { parentPort } from 'node:worker_threads';
import Database from 'better-sqlite3';

/**
 * The thread of `Checkpoints`. It opens the file that it is told of, moves what its write-ahead log has into it, and
 * closes it again. What others write meanwhile is left to the next time, so that nobody waits.
 */
parentPort?.on('message', (path: string) => {
  parentPort?.postMessage(checkpoint(path));
});

/** @returns why it failed, such as a full disk; `undefined` where it did not */
function checkpoint(path: string): string | undefined {
  try {
    const database = new Database(path, { fileMustExist: true });
    try {
      // As the writer's own checkpoints: the log is on the disk before the file is written, and the file after it.
      database.pragma('synchronous = NORMAL');
      database.pragma('wal_checkpoint(PASSIVE)');
    } finally {
      database.close();
    }
    return undefined;
  } catch (error) {
    return String(error);
  }
}
