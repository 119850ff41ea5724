import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Criteria } from '../selection/filters.ts';
import { STEP_EVENTS_MAX } from '../sqlite/removal.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { Archive } from './archive.ts';
import { ArchiveStore } from './archive-store.ts';
import { ExpirySweep } from './expiry-sweep.ts';

const logger = createLogger('test', 'silent');

let folder: string;
let nowMs: number;
let archive: Archive;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-expiry-'));
  nowMs = 0;
  archive = new Archive(join(folder, 'archive.db'), logger, () => nowMs);
  archive.begin({ epoch: 'e' }, 1);
});

afterEach(() => {
  archive.close();
  rmSync(folder, { recursive: true });
});

interface Parts {
  readonly topic: string;
  readonly type?: string;
  readonly expiresMs?: number | undefined;
  readonly data?: string;
}

function event(sequence: number, { topic, type = 't', expiresMs, data }: Parts): IndexedEvent {
  const expires = expiresMs === undefined ? {} : { expires: new Date(expiresMs).toISOString() };
  const json = JSON.stringify({ id: `${sequence}`, source: '/s', type, topic, ...expires, data });
  return toIndexed({ sequence, timeMs: sequence, json });
}

function store(parts: readonly Parts[]): IndexedEvent[] {
  const last = archive.bounds?.lastSequence ?? 0;
  const events = parts.map((one, index) => event(last + index + 1, one));
  archive.appendEvents(events, [], last + events.length);
  return events;
}

function read(criteria: Criteria, order: 'asc' | 'desc'): number[] {
  const selection = archive.select(criteria);
  const found: number[] = [];
  let left = { after: 0, through: archive.bounds?.lastSequence ?? 0 };
  while (left.after < left.through) {
    const page = selection.readPage({ ...left, order, eventsMax: 3, bytesMax: 1000 });
    found.push(...page.events.map(({ sequence }) => sequence));
    left = page.remaining;
  }
  return order === 'asc' ? found : found.reverse();
}

const CRITERIA: readonly Criteria[] = [
  { patterns: ['>'] },
  { patterns: ['a'] },
  { patterns: ['a', 'b'] },
  { patterns: ['*'], types: ['t'] },
  { patterns: ['b', 'c'], source: '/s' },
];

/** Everything that the archive shows, and the same as it follows from the events alone. */
function expectShown(events: readonly IndexedEvent[]): void {
  const shown = events.filter(({ expiresMs = Number.POSITIVE_INFINITY }) => expiresMs > nowMs);
  for (const { patterns, types, source } of CRITERIA) {
    const wanted = shown
      .filter(
        ({ topic }) => patterns.includes(topic) || patterns.includes('>') || patterns[0] === '*',
      )
      .filter(({ type }) => types?.includes(type) ?? true)
      .map(({ sequence }) => sequence);
    const criteria = { patterns, ...(types && { types }), ...(source && { source }) };
    expect(read(criteria, 'asc')).toEqual(wanted);
    expect(read(criteria, 'desc')).toEqual(wanted);
  }
  const through = events.length;
  for (const topic of ['a', 'b', 'c']) {
    const of = shown.filter((one) => one.topic === topic).map(({ sequence }) => sequence);
    const entry = archive.topics.findEntry(topic);
    expect(entry ? archive.lastOfTopic(entry, through) : 0).toBe(of.at(-1) ?? 0);
    if (archive.hasExpired) continue;
    const [firstSequence, lastSequence] = [of[0], of.at(-1)];
    const counted = { count: of.length, firstSequence, lastSequence };
    if (of.length === 0) expect(entry).toBeUndefined();
    else expect(entry).toMatchObject(counted);
  }
  for (const { sequence } of events) {
    const isShown = shown.some((one) => one.sequence === sequence);
    expect(archive.findEvent(sequence) !== undefined, `${sequence}`).toBe(isShown);
  }
  const last = archive.lastEvent({ after: 0, through })?.sequence;
  expect(last).toBe(shown.at(-1)?.sequence);
}

describe('expiry', () => {
  test('any events that expire: nothing shows them from that moment on, before and after they are removed', () => {
    const parts = fc.record({
      topic: fc.constantFrom('a', 'b', 'c'),
      type: fc.constantFrom('t', 'u'),
      expiresMs: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(parts, { minLength: 1, maxLength: 40 }), fc.nat(21), (all, atMs) => {
        archive.close();
        nowMs = 0;
        archive = new Archive(':memory:', logger, () => nowMs);
        archive.begin({ epoch: 'e' }, 1);
        const events = store(all);
        expectShown(events);
        nowMs = atMs;
        expectShown(events);
        while (archive.hasExpired) archive.removeExpired();
        expectShown(events);
        expect(archive.bounds?.lastSequence).toBe(events.length);
        expect(archive.missingRanges({ after: 0, through: events.length })).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('a page that was begun before: goes on without what has expired or was removed meanwhile', () => {
    store(Array.from({ length: 40 }, (_, n) => ({ topic: 'a', expiresMs: n % 2 ? 5 : undefined })));
    for (const removes of [false, true]) {
      nowMs = 0;
      const from = { after: 0, through: 40, order: 'asc' as const, bytesMax: 10_000 };
      const selected = archive.select({ patterns: ['a'] });
      const first = selected.readPage({ ...from, eventsMax: 2 });
      nowMs = 5;
      if (removes) archive.removeExpired();
      const rest: number[] = [];
      for (let left = first.remaining; left.after < left.through; ) {
        const selection = archive.select({ patterns: ['a'] }, left.after + 1);
        const page = selection.readPage({ ...from, ...left, eventsMax: 100 });
        rest.push(...page.events.map(({ sequence }) => sequence));
        left = page.remaining;
      }
      expect(rest.every((sequence) => sequence % 2 === 1)).toBe(true);
      expect(rest.at(-1)).toBe(39);
    }
  });

  test('many at one moment: removed in steps, and gone from the disk after the flush', () => {
    const secret = 'a-secret-of-somebody';
    store([{ topic: 'kept', data: 'what-stays' }]);
    const many = STEP_EVENTS_MAX * 2 + 10;
    store(Array.from({ length: many }, () => ({ topic: 'gone', expiresMs: 5, data: secret })));
    nowMs = 5;
    expect(archive.removeExpired()).toBe(STEP_EVENTS_MAX);
    expect(archive.removeExpired()).toBe(STEP_EVENTS_MAX);
    expect(archive.removeExpired()).toBe(10);
    expect(archive.removeExpired()).toBe(0);
    expect(archive.flushRemoved()).toBe(true);
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    expect(files.some((bytes) => bytes.includes('what-stays'))).toBe(true);
    expect(files.some((bytes) => bytes.includes(secret))).toBe(false);
    expect(archive.topics.findEntry('gone')).toBeUndefined();
  });

  test('an end that the log lost: its expiries go with it, so that other events in its place stay', () => {
    store([{ topic: 'a' }, { topic: 'a', expiresMs: 5 }]);
    archive.truncateAfter(1);
    store([{ topic: 'b' }]);
    nowMs = 6;
    expect(read({ patterns: ['>'] }, 'asc')).toEqual([1, 2]);
  });

  test('a file that is opened again: knows what expires', () => {
    store([{ topic: 'a', expiresMs: 5 }]);
    archive.close();
    nowMs = 5;
    archive = new Archive(join(folder, 'archive.db'), logger, () => nowMs);
    expect(read({ patterns: ['>'] }, 'asc')).toEqual([]);
  });

  test('sweep: removes what has expired, and flushes it', async () => {
    const expiring = new ArchiveStore(join(folder, 'swept.db'), logger);
    expiring.archive.begin({ epoch: 'e' }, 1);
    const sweep = new ExpirySweep(expiring, logger);
    try {
      const expiresMs = Date.now() + 300;
      const events = [event(1, { topic: 'a', expiresMs, data: 'short-lived-secret' })];
      expiring.archive.appendEvents(events, [], 1);
      expect(expiring.archive.findEvent(1)).toBeDefined();
      const bytes = () =>
        readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
      expect(bytes().join('')).toContain('short-lived-secret');
      await vi.waitFor(() => expect(bytes().join('')).not.toContain('short-lived-secret'), 15_000);
      expect(expiring.archive.topics.findEntry('a')).toBeUndefined();
    } finally {
      sweep.stop();
      expiring.close();
    }
  });
});
