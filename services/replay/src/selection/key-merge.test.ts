import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { openDatabase } from '../sqlite/database-file.ts';
import { Dictionary } from '../sqlite/dictionary.ts';
import { KeyIndex } from '../sqlite/key-index.ts';
import { KeyMerge } from './key-merge.ts';

const logger = createLogger('test', 'silent');
const TOPICS = 8;
const EVENTS = 160;

/** Merges the first events of all topics. @returns the sequences, and how much JSON was read */
function mergeFirst(wanted: number, jsonLength: number) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-merge-'));
  const path = join(folder, 'archive.db');
  const archive = new Archive(path, logger);
  archive.begin({ epoch: 'e' }, 1);
  const events = Array.from({ length: EVENTS }, (_, index) => {
    const [sequence, topic] = [index + 1, `t.${index % TOPICS}`];
    return { sequence, timeMs: 1, topic, type: 'a', source: '/s', json: 'x'.repeat(jsonLength) };
  });
  archive.appendEvents(events, [], EVENTS);
  const database = openDatabase(path, logger);
  let length = 0;
  const reader = new KeyIndex(database).eventReader('asc');
  const counted: typeof reader = {
    ...reader,
    readItems(...request) {
      const events = reader.readItems(...request);
      for (const { json } of events) length += json.length;
      return events;
    },
  };
  const topics = new Dictionary(database, 'topics');
  const keys = topics.listEntries({ from: 't', below: 'u', after: '', limit: TOPICS });
  const range = { after: 0, through: EVENTS };
  const merge = new KeyMerge(counted, { keys, range, order: 'asc', wanted });
  const sequences: number[] = [];
  for (let next = merge.peekNext(); next && sequences.length < wanted; next = merge.peekNext()) {
    sequences.push(next.sequence);
    merge.takeNext();
  }
  database.close();
  archive.close();
  rmSync(folder, { recursive: true });
  return { sequences, length };
}

test('key merge: large events: hardly more is read than what is wanted', () => {
  const large = 100_000;
  const { sequences, length } = mergeFirst(3, large);
  expect(sequences).toEqual([1, 2, 3]);
  expect(length).toBeLessThanOrEqual((3 + TOPICS) * large);
});

test('key merge: small events: in reads that grow', () => {
  const { sequences, length } = mergeFirst(EVENTS, 100);
  expect(sequences).toEqual(Array.from({ length: EVENTS }, (_, index) => index + 1));
  expect(length).toBe(EVENTS * 100);
});
