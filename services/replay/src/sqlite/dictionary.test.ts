import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { leastMs } from '../../../../test/support/least-ms.ts';
import { Archive } from '../archive/archive.ts';
import { openDatabase } from './database-file.ts';
import { Dictionary } from './dictionary.ts';

const NAMES = 100_000;
const ROUNDS = 50;

test('names: a page late in the list costs what the first one costs', () => {
  const archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
  const events = Array.from({ length: NAMES }, (_, index) => {
    const topic = `t.${String(index).padStart(6, '0')}`;
    return { sequence: index + 1, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  });
  archive.appendEvents(events, [], NAMES);
  const range = { from: 't.', below: 't/', limit: 10 };
  const timeOf = (after: string): number => {
    return leastMs(5, () => {
      for (let round = 0; round < ROUNDS; round++) archive.topics.listEntries({ ...range, after });
    });
  };
  const late = 't.099000';
  expect(archive.topics.listEntries({ ...range, after: late })[0]?.name).toBe('t.099001');
  expect(archive.topics.listEntries({ ...range, after: '' })[0]?.name).toBe('t.000000');
  expect(archive.topics.listEntries({ ...range, from: 't.5', after: late })).toEqual([]);
  const first = Math.max(timeOf(''), 1);
  expect(timeOf(late) / first).toBeLessThan(20);
  archive.close();
});

test('names that were read before: as the file has them after each change, also one that failed', () => {
  const logger = createLogger('test', 'silent');
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-names-'));
  const path = join(folder, 'archive.db');
  let nowMs = 0;
  const archive = new Archive(path, logger, () => nowMs);
  const database = openDatabase(path, logger);
  const names = ['t.a', 't.b', 't.c', 't.new'];
  const entries = () => names.map((name) => archive.topics.findEntry(name));
  const agrees = () => {
    const fresh = new Dictionary(database, 'topics');
    expect(entries()).toEqual(names.map((name) => fresh.findEntry(name)));
  };
  const events = (from: number, ...topics: string[]) =>
    topics.map((topic, index) => {
      const sequence = from + index;
      const expires = sequence === 6 && { expiresMs: 5 };
      return { sequence, timeMs: 1, topic, type: 't', source: '/s', json: '{}', ...expires };
    });
  archive.begin({ epoch: 'e' }, 5);
  agrees();
  archive.appendEvents(events(5, 't.a', 't.b', 't.a'), [], 7);
  agrees();
  archive.appendEvents(events(8, 't.a', 't.c'), [], 9);
  agrees();
  // The second has a sequence that is there: nothing of the batch is stored.
  const broken = [...events(10, 't.new', 't.a'), ...events(10, 't.b')];
  expect(() => archive.appendEvents(broken, [], 11)).toThrow();
  agrees();
  archive.fillPart({ from: 1, to: 2 }, events(1, 't.a', 't.new'));
  agrees();
  nowMs = 10;
  expect(archive.removeExpired()).toBe(1);
  agrees();
  archive.truncateAfter(7);
  agrees();
  expect(entries().map((entry) => entry?.count)).toEqual([3, undefined, undefined, 1]);
  database.close();
  archive.close();
  rmSync(folder, { recursive: true });
});
