import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PatternMatcher } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Criteria, MERGED_NAMES_MAX } from '../selection/filters.ts';
import { STEP_MS } from '../selection/selection.ts';
import { examinedPart, isEmpty, type LogRange, type Order } from '../sqlite/log-range.ts';
import { STEP_EVENTS_MAX } from '../sqlite/removal.ts';
import type { IndexedEvent } from '../sqlite/writer.ts';
import { Archive } from './archive.ts';

const logger = createLogger('test', 'silent');
const EPOCH = 'e1';

let folder: string;
let archive: Archive;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-archive-'));
  archive = new Archive(join(folder, 'archive.db'), logger);
  archive.begin({ epoch: EPOCH }, 1);
});

afterEach(() => {
  archive.close();
  rmSync(folder, { recursive: true });
});

function event(sequence: number, parts: Partial<IndexedEvent> = {}): IndexedEvent {
  const { topic = 'orders.1', type = 'order.paid', source = '/shop' } = parts;
  const json = JSON.stringify({ specversion: '1.0', id: `${sequence}`, source, type, topic });
  return { sequence, timeMs: 1000 + sequence, topic, type, source, json, ...parts };
}

function append(events: readonly IndexedEvent[]): void {
  archive.appendEvents(events, [], events.at(-1)?.sequence ?? 0);
}

function matchesType(name: string, type: string): boolean {
  return name.endsWith('*') ? type.startsWith(name.slice(0, -1)) : name === type;
}

function meets({ patterns, types, source }: Criteria, candidate: IndexedEvent): boolean {
  return (
    new PatternMatcher(patterns).matches(candidate.topic) &&
    (types?.some((name) => matchesType(name, candidate.type)) ?? true) &&
    (source === undefined || source === candidate.source)
  );
}

/** Reads a range to its end with the given page sizes, checking that each step moves on. */
function readAll(criteria: Criteria, range: LogRange, order: Order, sizes: readonly number[]) {
  const selection = archive.select(criteria);
  const sequences: number[] = [];
  const texts: string[] = [];
  let left = range;
  for (let step = 0; !isEmpty(left); step++) {
    const eventsMax = sizes[step % sizes.length] ?? 1;
    const { events, remaining } = selection.readPage({
      ...left,
      order,
      eventsMax,
      bytesMax: 1 << 20,
    });
    expect(events.length).toBeLessThanOrEqual(eventsMax);
    const seen = examinedPart(left, remaining, order);
    expect(seen.through - seen.after).toBeGreaterThan(0);
    expect(events.every((found) => found.sequence > seen.after)).toBe(true);
    expect(events.every((found) => found.sequence <= seen.through)).toBe(true);
    sequences.push(...events.map(({ sequence }) => sequence));
    texts.push(...events.map(({ json }) => json));
    left = remaining;
  }
  return { sequences, texts };
}

const token = fc.constantFrom('a', 'b', 'c', 'd-1');
const topicArbitrary = fc.array(token, { minLength: 1, maxLength: 3 }).map((t) => t.join('.'));
const patternArbitrary = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open ? ['>'] : [])].join('.'));
const typeArbitrary = fc.constantFrom('t1', 't2', 't2.é', 't2.\u{10ffff}');
const typeNameArbitrary = fc.oneof(
  typeArbitrary,
  fc.constantFrom('unknown', '*', 't*', 't2*', 't2.*', 't2.\u{10ffff}*', 'unknown*'),
);
const sourceArbitrary = fc.constantFrom('/s1', '/s2');
const logArbitrary = fc.array(
  fc.record({
    topic: topicArbitrary,
    type: typeArbitrary,
    source: sourceArbitrary,
    step: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 1, maxLength: 60 },
);
const criteriaArbitrary = fc.record(
  {
    patterns: fc.array(fc.oneof(patternArbitrary, fc.constant('>'), topicArbitrary), {
      minLength: 1,
      maxLength: 4,
    }),
    types: fc.array(typeNameArbitrary, { minLength: 1, maxLength: 3 }),
    source: fc.oneof(sourceArbitrary, fc.constant('/unknown')),
  },
  { requiredKeys: ['patterns'] },
) as fc.Arbitrary<Criteria>;

describe('selection', () => {
  test('selection: any criteria, range, order and page sizes: each matching event once', () => {
    fc.assert(
      fc.property(
        logArbitrary,
        criteriaArbitrary,
        fc.constantFrom<Order>('asc', 'desc'),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
        fc.tuple(fc.nat(70), fc.nat(200)),
        (steps, criteria, order, sizes, [after, width]) => {
          archive.truncateAfter(0);
          let sequence = 0;
          const events = steps.map(({ step, ...parts }) => {
            sequence += step;
            return event(sequence, parts);
          });
          append(events);
          const range = { after, through: Math.min(after + width, sequence) };
          const expected = events.filter((candidate) => {
            const inside = candidate.sequence > range.after && candidate.sequence <= range.through;
            return inside && meets(criteria, candidate);
          });
          if (order === 'desc') expected.reverse();
          const found = readAll(criteria, range, order, sizes);
          expect(found.sequences).toEqual(expected.map((one) => one.sequence));
          expect(found.texts).toEqual(expected.map((one) => one.json));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('selection: more topics than are merged: the scan finds the same events', () => {
    const count = MERGED_NAMES_MAX * 3 + 1;
    append(
      Array.from({ length: count }, (_, index) =>
        event(index + 1, { topic: `user.${index}.${index % 5 === 0 ? 'inbox' : 'sent'}` }),
      ),
    );
    const range = { after: 0, through: count };
    const expected = Array.from({ length: count }, (_, index) => index)
      .filter((index) => index % 5 === 0)
      .map((index) => index + 1);
    const criteria = { patterns: ['user.*.inbox'] };
    expect(readAll(criteria, range, 'asc', [700]).sequences).toEqual(expected);
    expect(readAll(criteria, range, 'desc', [700]).sequences).toEqual(expected.reverse());
  });

  test('selection: more types than are merged: the scan finds the same events', () => {
    const count = MERGED_NAMES_MAX * 3 + 1;
    append(
      Array.from({ length: count }, (_, index) =>
        event(index + 1, { type: index % 5 === 0 ? `user.${index}` : `order.${index}` }),
      ),
    );
    const range = { after: 0, through: count };
    const expected = Array.from({ length: count }, (_, index) => index + 1).filter(
      (sequence) => sequence % 5 !== 1,
    );
    const criteria = { patterns: ['>'], types: ['order.*'] };
    expect(readAll(criteria, range, 'asc', [700]).sequences).toEqual(expected);
    expect(readAll(criteria, range, 'desc', [700]).sequences).toEqual(expected.reverse());
  });

  test('selection: sparse events on a hot and a thousand cold topics: merged in order', () => {
    const count = 20_000;
    const topicOf = (sequence: number) =>
      sequence % 10 === 0 ? `a.${sequence % 1000}` : sequence % 3 === 0 ? 'a.hot' : 'other';
    append(Array.from({ length: count }, (_, i) => event(i + 1, { topic: topicOf(i + 1) })));
    const expected = Array.from({ length: count }, (_, i) => i + 1).filter((sequence) =>
      topicOf(sequence).startsWith('a.'),
    );
    const range = { after: 0, through: count };
    expect(readAll({ patterns: ['a.>'] }, range, 'asc', [37, 900]).sequences).toEqual(expected);
    expect(readAll({ patterns: ['a.>'] }, range, 'desc', [999]).sequences).toEqual(
      expected.reverse(),
    );
  });

  test.each<Criteria>([
    { patterns: ['t.*.y'] },
    { patterns: ['>'], types: ['t.*'] },
    { patterns: ['t.*.y'], types: ['t.*', 'u'] },
  ])('selection: nothing matches %j: a step ends by the clock, having moved on', (criteria) => {
    const count = 3000;
    append(Array.from({ length: count }, (_, i) => event(i + 1, { topic: `t.${i}.x` })));
    // Too many topics and types to be found one by one.
    append(
      Array.from({ length: 6000 }, (_, i) => {
        return event(count + i + 1, { topic: `t.${i}.z`, type: `t.${i}` });
      }),
    );
    const selection = archive.select(criteria);
    // The making took longer than a step, so the first one is short.
    let nowMs = performance.now() + STEP_MS;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += STEP_MS / 4));
    const ends = [];
    for (let left: LogRange = { after: 0, through: count }; !isEmpty(left); ) {
      const request = { ...left, order: 'asc', eventsMax: 10, bytesMax: 1000 } as const;
      const { events, remaining } = selection.readPage(request);
      expect(events).toEqual([]);
      left = remaining;
      ends.push(left.after);
    }
    clock.mockRestore();
    expect(ends).toEqual([256, 256 + 1024, 256 + 2048, count]);
  });

  test('selection: an immense hole in the log: crossed in one step', () => {
    archive.appendEvents([event(1)], [], 1);
    archive.appendEvents([event(9_000_000_000)], [{ from: 2, to: 8_999_999_999 }], 9_000_000_000);
    const range = { after: 0, through: 9_000_000_000 };
    const { sequences } = readAll({ patterns: ['>'] }, range, 'asc', [1]);
    expect(sequences).toEqual([1, 9_000_000_000]);
    expect(archive.missingRanges({ after: 100, through: 200 })).toEqual([{ from: 101, to: 200 }]);
  });

  test('selection: more bytes than the limit: ends before the event that passes it', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const json = JSON.stringify({ text: 'ü'.repeat(100) });
    append([1, 2, 3].map((sequence) => event(sequence, { json })));
    const bytesMax = 2 * Buffer.byteLength(json);
    const request = { after: 0, through: 3, order: 'asc', eventsMax: 10 } as const;
    const selection = archive.select({ patterns: ['>'] });
    expect(selection.readPage({ ...request, bytesMax })).toMatchObject({
      events: [{ sequence: 1 }, { sequence: 2 }],
      remaining: { after: 2, through: 3 },
    });
    expect(selection.readPage({ ...request, bytesMax: 1 })).toMatchObject({
      events: [{ sequence: 1 }],
      remaining: { after: 1, through: 3 },
    });
    clock.mockRestore();
  });
});

const RANGE = { after: 0, through: 1_000_000 };

/** All events that meet the criteria, in as many steps as the clock makes of it. */
function eventsOf(from: Archive, criteria: Criteria) {
  const events = [];
  for (let left: LogRange = RANGE; !isEmpty(left); ) {
    const request = { ...left, order: 'asc', eventsMax: 1000, bytesMax: 1 << 20 } as const;
    const page = from.select(criteria).readPage(request);
    events.push(...page.events);
    left = page.remaining;
  }
  return events;
}

/** Everything that can be read of an archive. */
function contents(from: Archive) {
  const names = from.topics.listEntries({ from: '', below: '~', after: '', limit: 1000 });
  return {
    bounds: from.bounds,
    events: eventsOf(from, { patterns: ['>'] }),
    topics: names.map(({ id, ...entry }) => entry),
  };
}

describe('archive', () => {
  test('archive: a batch that fails half way: leaves bounds, events and counts as they were', () => {
    append([event(1), event(2)]);
    expect(() => archive.appendEvents([event(3), event(3)], [], 3)).toThrow('UNIQUE');
    expect(archive.bounds?.lastSequence).toBe(2);
    append([event(3), event(4, { topic: 'new' })]);
    expect(archive.topics.findEntry('orders.1')).toMatchObject({ count: 3, lastSequence: 3 });
    expect(archive.topics.findEntry('new')).toMatchObject({ count: 1, firstSequence: 4 });
  });

  test('archive: truncated: events, counts and missing ranges beyond are gone', () => {
    append([event(1), event(2), event(3, { topic: 'late' })]);
    archive.appendEvents([event(9)], [{ from: 4, to: 8 }], 9);
    expect(archive.truncateAfter(5)).toBe(1);
    expect(archive.bounds).toEqual({ epoch: EPOCH, firstSequence: 1, lastSequence: 5 });
    expect(archive.missingRanges({ after: 0, through: 99 })).toEqual([{ from: 4, to: 5 }]);
    expect(archive.topics.findEntry('orders.1')).toMatchObject({ count: 2, lastSequence: 2 });
    expect(archive.truncateAfter(2)).toBe(1);
    expect(archive.topics.findEntry('late')).toBeUndefined();
    expect(readAll({ patterns: ['>'] }, { after: 0, through: 2 }, 'asc', [9]).sequences).toEqual([
      1, 2,
    ]);
  });

  test('archive: killed between the steps of a truncation: exact up to where they came', () => {
    const events = Array.from({ length: 3 * STEP_EVENTS_MAX + 7 }, (_, index) => {
      const sequence = 2 * index + 1;
      return event(sequence, { topic: `t.${index % 11}`, source: `/${index % 700}` });
    });
    const end = events.at(-1)?.sequence ?? 0;
    archive.appendEvents(events, [{ from: end + 1, to: end + 5 }], end + 5);
    const target = 100;
    const everything = { after: 0, through: end + 5 };
    let steps = 0;
    do {
      archive.truncateAfter(target);
      steps++;
      expect(archive.bounds?.lastSequence).toBe(target);
      const served = events.filter(({ sequence }) => sequence <= target);
      const { sequences } = readAll({ patterns: ['>'] }, everything, 'asc', [1000]);
      expect(sequences).toEqual(served.map(({ sequence }) => sequence));

      const reopened = new Archive(archive.path, logger);
      const last = reopened.bounds?.lastSequence ?? 0;
      const left = events.filter(({ sequence }) => sequence <= last);
      expect(left.length).toBe(Math.max(events.length - steps * STEP_EVENTS_MAX, served.length));
      for (let number = 0; number < 11; number++) {
        const own = left.filter(({ topic }) => topic === `t.${number}`);
        expect(reopened.topics.findEntry(`t.${number}`)).toMatchObject({
          count: own.length,
          lastSequence: own.at(-1)?.sequence,
        });
      }
      const kept = left.filter(({ source }) => source === '/699');
      const found = eventsOf(reopened, { patterns: ['>'], source: '/699' });
      expect(found).toHaveLength(kept.length);
      expect(reopened.missingRanges(everything)).toEqual([]);
      reopened.close();
    } while (archive.truncating);
    expect(steps).toBe(3);
  });

  test('archive: filled in any parts and any order: equal to one that had everything', () => {
    fc.assert(
      fc.property(
        logArbitrary,
        fc.tuple(fc.nat(60), fc.nat(60)),
        fc.array(fc.nat(10), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (steps, [first, width], sizes, downwards) => {
          const whole = new Archive(':memory:', logger);
          const young = new Archive(':memory:', logger);
          let sequence = 0;
          const events = steps.map(({ step, ...parts }) => {
            sequence += step;
            return event(sequence, parts);
          });
          const hole = {
            from: Math.min(first, sequence) + 1,
            to: Math.min(first + width, sequence),
          };
          whole.begin({ epoch: EPOCH }, 1);
          whole.appendEvents(events, [], sequence);
          const inHole = (one: IndexedEvent) =>
            one.sequence >= hole.from && one.sequence <= hole.to;
          const isHoled = hole.to >= hole.from;
          young.begin({ epoch: EPOCH }, 1);
          const others = events.filter((one) => !inHole(one));
          young.appendEvents(others, isHoled ? [hole] : [], sequence);
          for (let turn = 0; young.missingRanges(RANGE).length > 0; turn++) {
            const [left] = young.missingRanges(RANGE);
            if (!left) break;
            const size = sizes[turn % sizes.length] ?? 0;
            const part = downwards
              ? { from: Math.max(left.from, left.to - size), to: left.to }
              : { from: left.from, to: Math.min(left.to, left.from + size) };
            const within = events.filter(
              (one) => one.sequence >= part.from && one.sequence <= part.to,
            );
            expect(young.fillPart(part, within)).toBe(true);
          }
          expect(contents(young)).toEqual(contents(whole));
          whole.close();
          young.close();
        },
      ),
      { numRuns: 100 },
    );
  });

  test('archive: filled before its first event: begins there, with a hole to its old beginning', () => {
    const late = new Archive(':memory:', logger);
    late.begin({ epoch: EPOCH }, 10);
    late.appendEvents([event(10), event(11)], [], 11);
    expect(late.fillPart({ from: 3, to: 5 }, [event(4)])).toBe(true);
    expect(late.bounds).toEqual({ epoch: EPOCH, firstSequence: 3, lastSequence: 11 });
    const missing = [
      { from: 1, to: 2 },
      { from: 6, to: 9 },
    ];
    expect(late.holdings(9)).toEqual({ ...late.bounds, missing });
    expect(late.holdings(1)?.missing).toEqual([{ from: 6, to: 9 }]);
    // What is there already, or was taken back meanwhile, is not written.
    expect(late.fillPart({ from: 4, to: 7 }, [event(6)])).toBe(false);
    expect(late.fillPart({ from: 9, to: 12 }, [event(12)])).toBe(false);
    expect(late.missingRanges(RANGE)).toEqual(missing);
    late.close();
  });

  test('archive: a time in what is missing: sequenceUntil includes it, sequenceBefore does not', () => {
    const late = new Archive(':memory:', logger);
    late.begin({ epoch: EPOCH }, 10);
    late.appendEvents([event(10, { timeMs: 100 })], [], 10);
    late.appendEvents([event(20, { timeMs: 200 })], [{ from: 11, to: 19 }], 20);
    const until = [50, 150, 250].map((timeMs) => late.sequenceUntil(timeMs));
    expect(until).toEqual([9, 19, 20]);
    expect([50, 150, 250].map((timeMs) => late.sequenceBefore(timeMs))).toEqual([0, 10, 20]);
    late.close();
  });

  test('archive: filled with times beyond those of its neighbours: they stay in order', () => {
    const late = new Archive(':memory:', logger);
    late.begin({ epoch: EPOCH }, 3);
    late.appendEvents([event(3, { timeMs: 100 })], [], 3);
    late.fillPart({ from: 1, to: 2 }, [event(1, { timeMs: 90 }), event(2, { timeMs: 120 })]);
    late.appendEvents([event(4, { timeMs: 110 })], [], 4);
    const times = [1, 2, 3, 4].map((sequence) => late.findEvent(sequence)?.timeMs);
    expect(times).toEqual([90, 100, 100, 110]);
    late.close();
  });

  test('archive: two processes on one file: the second writer is refused', () => {
    const other = new Archive(archive.path, logger);
    append([event(1)]);
    expect(() => other.appendEvents([event(2)], [], 2)).toThrow('Another process');
    other.close();
    expect(archive.findEvent(2)).toBeUndefined();
  });

  test('archive: times of any events: sequenceBefore is the last one stored before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ time: fc.nat(50), step: fc.integer({ min: 1, max: 4 }) }), {
          maxLength: 30,
        }),
        fc.integer({ min: -1, max: 52 }),
        (steps, timeMs) => {
          archive.truncateAfter(0);
          let sequence = 0;
          let latest = 0;
          // The archive's own rule: an event is never older than the one before it.
          const times: [number, number][] = [];
          const events = steps.map(({ time, step }) => {
            sequence += step;
            latest = Math.max(latest, time);
            times.push([sequence, latest]);
            return event(sequence, { timeMs: time });
          });
          append(events);
          const before = times.filter(([, time]) => time < timeMs).map(([found]) => found);
          expect(archive.sequenceBefore(timeMs)).toBe(before.at(-1) ?? 0);
        },
      ),
      { numRuns: 200 },
    );
  });
});
