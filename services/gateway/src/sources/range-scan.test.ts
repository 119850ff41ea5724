import { matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PatternSet } from '../log/pattern-set.ts';
import type { ColdQuery } from './cold-reads.ts';
import { RangeScan } from './range-scan.ts';

interface Stored {
  readonly sequence: number;
  readonly topic: string;
  readonly isValid: boolean;
}

const LAST = 60;

const stored = fc.record({
  topic: fc.constantFrom('a', 'a.b', 'b.c', 'b.d', 'c'),
  isValid: fc.constantFrom(true, true, true, false),
  /** Whether something has removed it from the stream. */
  isGone: fc.constantFrom(false, false, false, true),
});
const asked = fc.record({
  list: fc.uniqueArray(fc.constantFrom('a', 'a.*', 'b.*', 'b.c', '>', '*.c'), { minLength: 1 }),
  after: fc.nat(LAST - 1),
  length: fc.integer({ min: 1, max: LAST }),
  eventsMax: fc.integer({ min: 1, max: 8 }),
});

/** Scans until it ends by itself, or where it is stopped. */
function scan(records: readonly Stored[], queries: readonly ColdQuery[], steps: number) {
  const range = new RangeScan<Stored>(queries, {
    decode: ({ sequence, topic, isValid }) => {
      return isValid ? { sequence, topic, timeMs: 0, json: Buffer.from('{}') } : undefined;
    },
    nowMs: () => 0,
    isAwaited: () => false,
  });
  let taken = 0;
  for (const record of records) {
    if (record.sequence <= range.after) continue;
    if (record.sequence > range.through) break;
    if (!range.take(record) || ++taken === steps) return range.slices(record.sequence);
  }
  return range.slices(range.through);
}

test('range scan: any events, queries and limits: each reader gets all that is its own, in order and once', () => {
  const all = fc.array(stored, { minLength: LAST, maxLength: LAST });
  const readers = fc.array(asked, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(all, readers, fc.integer({ min: 1, max: LAST }), (events, wanted, steps) => {
      const records = events.flatMap(({ isGone, ...event }, index) => {
        return isGone ? [] : [{ ...event, sequence: index + 1 }];
      });
      const readOn = wanted.map(({ list, after, length, eventsMax }) => {
        const through = Math.min(after + length, LAST);
        const got: number[] = [];
        return { list, after, at: after, through, eventsMax, got };
      });
      // As readers do: whoever has not got to its end asks again, with the others that have not.
      for (let round = 0; readOn.some(({ at, through }) => at < through); round++) {
        expect(round).toBeLessThan(10 * LAST);
        const open = readOn.filter(({ at, through }) => at < through);
        const queries = open.map(({ list, at: after, through, eventsMax }) => {
          return { epoch: 'e', patterns: new PatternSet(list), after, through, eventsMax };
        });
        const slices = scan(records, queries, steps);
        for (const [index, slice] of slices.entries()) {
          const reader = open[index];
          if (!slice || !reader) continue;
          expect(slice.through).toBeGreaterThan(reader.at);
          expect(slice.through).toBeLessThanOrEqual(reader.through);
          expect(slice.entries.length).toBeLessThanOrEqual(reader.eventsMax);
          reader.got.push(...slice.entries.map(({ sequence }) => sequence));
          reader.at = slice.through;
        }
      }
      for (const { list, after, through, got } of readOn) {
        const own = records.filter(({ sequence, topic, isValid }) => {
          const isWanted = isValid && list.some((pattern) => matches(pattern, topic));
          return isWanted && sequence > after && sequence <= through;
        });
        expect(got).toEqual(own.map(({ sequence }) => sequence));
      }
    }),
  );
});

test('range scan: it takes long: it ends where others wait, and goes on where nobody does', () => {
  let nowMs = 0;
  let isAwaited = false;
  const patterns = new PatternSet(['a']);
  const query = { epoch: 'e', patterns, after: 0, through: 1e6, eventsMax: 1e6 };
  const range = new RangeScan<Stored>([query], {
    decode: ({ sequence, topic }) => ({ sequence, topic, timeMs: 0, json: Buffer.from('{}') }),
    nowMs: () => nowMs,
    isAwaited: () => isAwaited,
  });
  let sequence = 0;
  const takeUntil = (endMs: number): boolean => {
    for (; nowMs < endMs; nowMs++) {
      if (!range.take({ sequence: ++sequence, topic: 'a', isValid: true })) return false;
    }
    return true;
  };
  expect(takeUntil(10_000)).toBe(true);
  isAwaited = true;
  expect(takeUntil(10_200)).toBe(false);
  const [slice] = range.slices(sequence);
  expect(slice).toMatchObject({ through: sequence });
  expect(slice?.entries.length).toBe(sequence);
});
