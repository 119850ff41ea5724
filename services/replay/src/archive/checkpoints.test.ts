import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@tidemark/telemetry';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Archive } from './archive.ts';
import { ArchiveStore } from './archive-store.ts';

const logger = createLogger('test', 'silent');
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-checkpoints-'));
  path = join(folder, 'archive.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

function eventsAfter(sequence: number, count: number) {
  return Array.from({ length: count }, (_, index) => ({
    ...{ sequence: sequence + index + 1, timeMs: 1, topic: `t.${index % 50}` },
    ...{ type: 'a', source: '/s', json: JSON.stringify({ text: 'x'.repeat(1000) }) },
  }));
}

function append(archive: Archive, count: number): void {
  const last = archive.bounds?.lastSequence ?? 0;
  const events = eventsAfter(last, count);
  archive.appendEvents(events, [], last + count);
  archive.checkpoints.noteWritten(events);
}

test('written events: get into the file by themselves, while the writer goes on', async () => {
  const archive = new Archive(path, logger);
  archive.begin({ epoch: 'e' }, 1);
  const empty = statSync(path).size;
  append(archive, 2000);
  await archive.checkpoints.whileClosed(() => undefined);
  // The writer itself would do it at 64 MiB.
  expect(statSync(path).size).toBeGreaterThan(empty + 1_000_000);
  await archive.checkpoints.stop();
  archive.close();
});

test('the stream is replaced in the middle of a checkpoint: each file has its own events', async () => {
  const store = new ArchiveStore(path, logger);
  await store.alignWith({ epoch: 'old', firstSequence: 1, lastSequence: 0 });
  append(store.archive, 5000);
  const keptPath = join(folder, 'archive.old.db');
  const replaced = store.alignWith({ epoch: 'new', firstSequence: 1, lastSequence: 0 });
  expect(store.archive.checkpoints.underway).toBe(true);
  expect(existsSync(keptPath)).toBe(false);
  await replaced;
  for (let round = 0; round < 20; round++) {
    append(store.archive, 100);
    await sleep(5);
  }
  // As after a crash: a second reader sees what the log of the new file has.
  const second = new Database(path, { readonly: true });
  expect(second.prepare('SELECT count(*) FROM events').pluck().get()).toBe(2000);
  expect(second.pragma('integrity_check', { simple: true })).toBe('ok');
  second.close();
  await store.close();
  const kept = new Database(keptPath, { readonly: true });
  expect(kept.prepare('SELECT count(*) FROM events').pluck().get()).toBe(5000);
  kept.close();
});

test('it fails: it is logged, and a change does not wait for ever', async () => {
  const lines: string[] = [];
  const watched = createLogger('test', 'silent');
  watched.warn = (...line: unknown[]) => void lines.push(JSON.stringify(line));
  const away = join(folder, 'away.db');
  const missing = new Archive(away, watched);
  missing.close();
  rmSync(away);
  missing.checkpoints.noteWritten(eventsAfter(0, 2000));
  await missing.checkpoints.whileClosed(() => undefined);
  expect(lines.join()).toContain('a checkpoint of the archive failed');
  await missing.checkpoints.stop();
});

test('few events: no checkpoint, which would wait for the disk twice', () => {
  const archive = new Archive(path, logger);
  archive.begin({ epoch: 'e' }, 1);
  append(archive, 100);
  expect(archive.checkpoints.underway).toBe(false);
  archive.close();
});
