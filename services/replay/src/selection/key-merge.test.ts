import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { openDatabase } from '../sqlite/database-file.ts';
import { Dictionary } from '../sqlite/dictionary.ts';
import { HeaderIndex } from '../sqlite/header-table.ts';
import { KeyIndex } from '../sqlite/key-index.ts';
import type { Order } from '../sqlite/log-range.ts';
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

/** Merges headers of all topics, whose number of events each is given. @returns what was merged, and the reads */
function mergeHeaders(counts: readonly number[], order: Order, after = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-merge-'));
  const path = join(folder, 'archive.db');
  const archive = new Archive(path, logger);
  archive.begin({ epoch: 'e' }, 1);
  const topics = counts.flatMap((count, index) => new Array<number>(count).fill(index));
  // Neighbours are of several topics.
  const events = topics.map((_, index) => {
    const topic = `t.${topics[(index * 7919) % topics.length]}`;
    const expires = index % 3 === 0 && { expiresMs: 9e15 + index };
    return {
      sequence: index + 1,
      timeMs: 1,
      topic,
      type: 'a',
      source: '/s',
      json: '{}',
      ...expires,
    };
  });
  archive.appendEvents(events, [], events.length);
  const database = openDatabase(path, logger);
  const reader = new HeaderIndex(database, { typed: true }).eventReader(order);
  const reads = { single: 0, together: 0 };
  const counted: typeof reader = {
    ...reader,
    readItems(...request) {
      reads.single++;
      return reader.readItems(...request);
    },
    readTogether(...request) {
      reads.together++;
      return reader.readTogether?.(...request) ?? [];
    },
  };
  const keys = new Dictionary(database, 'topics').listEntries({
    ...{ from: 't', below: 'u', after: '', limit: counts.length },
  });
  const range = { after, through: events.length };
  const merge = new KeyMerge(counted, { keys, range, order, wanted: 10 });
  const merged: object[] = [];
  for (let next = merge.peekNext(); next; next = merge.peekNext()) {
    merged.push(next);
    merge.takeNext();
  }
  const expected = events
    .filter(({ sequence }) => sequence > after)
    .map(({ source, ...event }) => ({ ...event, timeMs: 0, json: '' }));
  if (order === 'desc') expected.reverse();
  database.close();
  archive.close();
  rmSync(folder, { recursive: true });
  return { merged, expected, reads };
}

test.each<Order>(['asc', 'desc'])(
  'key merge: headers of topics with few events, %s: one read',
  (order) => {
    for (const after of [0, 50]) {
      const { merged, expected, reads } = mergeHeaders([20, 20, 20, 20, 20, 1], order, after);
      expect(merged).toEqual(expected);
      expect(reads).toEqual({ single: 0, together: 1 });
    }
  },
);

test.each<Order>(['asc', 'desc'])(
  'key merge: headers of a topic with many among them, %s: topic by topic',
  (order) => {
    const { merged, expected, reads } = mergeHeaders([1020, 4, 1], order);
    expect(merged).toEqual(expected);
    expect(reads.together).toBe(0);
  },
);
