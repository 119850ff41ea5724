import { matches } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { NewestMatch } from './newest-match.ts';

const PATTERNS = ['a.b', 'a.*', '*.b', 'a.>', '>', 'c', 'b.*.c', 'a.b.c'];
const TOPICS = ['a', 'a.b', 'a.c', 'b.b', 'a.b.c', 'b.x.c', 'c'];

let archive: Archive;
beforeEach(() => {
  archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
});
afterEach(() => archive.close());

function store(topics: readonly string[]): void {
  const last = archive.bounds?.lastSequence ?? 0;
  const events = topics.map((topic, index) => {
    return { sequence: last + index + 1, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  });
  archive.appendEvents(events, [], last + events.length);
}

function newest(
  patterns: readonly string[],
  through: number,
  {
    between = () => {},
    isElsewhere = () => false,
  }: { between?: () => void; isElsewhere?: () => boolean } = {},
): { sequence: number; steps: number } {
  const search = new NewestMatch({ archive, patterns, through, isElsewhere });
  let steps = 0;
  let found = 0;
  for (let after: string | null = ''; after !== null; steps++) {
    ({ sequence: found, next: after } = search.step({ after, found }));
    between();
  }
  return { sequence: found, steps };
}

describe('newest match', () => {
  test('any topics, patterns and ends: what a scan of all events finds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...TOPICS), { minLength: 1, maxLength: 30 }),
        fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 4 }),
        fc.nat(30),
        (topics, patterns, past) => {
          const before = archive.bounds?.lastSequence ?? 0;
          store(topics);
          const log = [...Array<string>(before).fill(''), ...topics];
          const through = Math.max(before, log.length - past);
          const naive = log.findLastIndex(
            (topic, index) =>
              index < through && topic && patterns.some((one) => matches(one, topic)),
          );
          const { sequence } = newest(patterns, through);
          // What earlier runs stored counts where none of this run matches.
          if (naive >= 0) expect(sequence).toBe(naive + 1);
          else expect(sequence).toBeLessThanOrEqual(before);
        },
      ),
    );
  });

  test('20,000 topics, and more events between the steps: as of the end that was asked for', () => {
    store(Array.from({ length: 20_000 }, (_, index) => `user.${index}.x`));
    store(['user.7.x']);
    const end = archive.bounds?.lastSequence ?? 0;
    const { sequence, steps } = newest(['user.*.x'], end, {
      between: () => store(['user.19999.x', 'zzz.x']),
    });
    expect(sequence).toBe(end);
    expect(steps).toBeGreaterThan(1);
  });

  test('a missing part that another archive may have: unavailable only where it may be newer', () => {
    store(['old']);
    archive.appendEvents([], [{ from: 2, to: 5 }], 5);
    store(['new']);
    const search = (topic: string) => newest([topic], 6, { isElsewhere: () => true });
    expect(search('new')).toMatchObject({ sequence: 6 });
    expect(() => search('old')).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });

  test('found by an earlier step: a missing part before it does not matter', () => {
    archive.appendEvents([], [{ from: 1, to: 5 }], 5);
    store(['a']);
    const search = (after: string, found?: number) =>
      new NewestMatch({
        archive,
        patterns: ['*'],
        through: 6,
        isElsewhere: () => true,
      }).step({ after, ...(found !== undefined && { found }) });
    expect(search('a', 6)).toEqual({ sequence: 6, next: null });
    expect(() => search('a')).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });
});
