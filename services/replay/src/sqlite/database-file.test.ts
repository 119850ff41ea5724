import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from './database-file.ts';

const logger = createLogger('test', 'silent');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-database-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

test('file of the archive, its companions and its folder: for the owner alone, whatever the umask', () => {
  const umask = process.umask(0o022);
  try {
    const path = join(folder, 'data', 'archive.db');
    const modes = () => ['', '-wal', '-shm'].map((companion) => modeOf(path + companion));
    const database = openDatabase(path, logger);
    expect(modes()).toEqual(['600', '600', '600']);
    expect(modeOf(join(folder, 'data'))).toBe('700');
    // As an earlier version has left them.
    for (const companion of ['', '-wal', '-shm']) chmodSync(path + companion, 0o644);
    openDatabase(path, logger).close();
    expect(modes()).toEqual(['600', '600', '600']);
    database.close();
  } finally {
    process.umask(umask);
  }
});
