import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { Archive } from './archive.ts';
import { openDatabase } from './database-file.ts';
import { Dictionary } from './dictionary.ts';
import { KeyIndex, KeyMerge } from './key-merge.ts';

const log = createLogger('test', 'silent');
const TOPICS = 8;
const EVENTS = 160;

/** Merges the first events of all topics. @returns the sequences, and how much JSON was read */
function mergeFirst(wanted: number, jsonLength: number) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-merge-'));
  const path = join(folder, 'archive.db');
  const archive = new Archive(path, log);
  archive.begin('e', 1);
  const events = Array.from({ length: EVENTS }, (_, index) => {
    const [sequence, topic] = [index + 1, `t.${index % TOPICS}`];
    return { sequence, timeMs: 1, topic, type: 'a', source: '/s', json: 'x'.repeat(jsonLength) };
  });
  archive.append(events, [], EVENTS);
  const database = openDatabase(path, log);
  let length = 0;
  const reader = new KeyIndex(database).rows('asc');
  const counted: typeof reader = {
    ...reader,
    read(...asked) {
      const rows = reader.read(...asked);
      for (const { json } of rows) length += json.length;
      return rows;
    },
  };
  const topics = new Dictionary(database, 'topics');
  const keys = topics.range({ from: 't', below: 'u', after: '', limit: TOPICS });
  const range = { after: 0, through: EVENTS };
  const merge = new KeyMerge(counted, { keys, range, order: 'asc', wanted });
  const sequences: number[] = [];
  while (sequences.length < wanted) sequences.push(...merge.next().map((row) => row.sequence));
  database.close();
  archive.close();
  rmSync(folder, { recursive: true });
  return { sequences: sequences.slice(0, wanted), length };
}

test('rows: large events: hardly more is read than what is wanted', () => {
  const large = 100_000;
  const { sequences, length } = mergeFirst(3, large);
  expect(sequences).toEqual([1, 2, 3]);
  expect(length).toBeLessThanOrEqual((3 + TOPICS) * large);
});

test('rows: small events: in chunks', () => {
  const { sequences, length } = mergeFirst(EVENTS, 100);
  expect(sequences).toEqual(Array.from({ length: EVENTS }, (_, index) => index + 1));
  expect(length).toBe(EVENTS * 100);
});
