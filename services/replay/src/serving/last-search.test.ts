import { matches, TypeFilter } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { findLast, LastSearch, type LastSearchOptions, parseTombstones } from './last-search.ts';

const PATTERNS = ['a.b', 'a.*', '*.b', 'a.>', '>', 'c', 'b.*.c', 'a.b.c'];
const TOPICS = ['a', 'a.b', 'a.c', 'b.b', 'a.b.c', 'b.x.c', 'c'];
const TYPES = ['set', 'set.x', 'gone', 'other'];
const TOMBSTONES = new TypeFilter(['gone*']);

interface Stored {
  readonly topic: string;
  readonly type?: string;
  readonly data?: boolean;
}

let archive: Archive;
let log: Stored[];
beforeEach(() => begin());
afterEach(() => archive.close());

function begin(): void {
  archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
  log = [];
}

function store(events: readonly Stored[]): void {
  const last = archive.bounds?.lastSequence ?? 0;
  const rows = events.map(({ topic, type = 'set', data = true }, index) => ({
    sequence: last + index + 1,
    timeMs: 1,
    topic,
    type,
    source: '/s',
    json: data ? '{"data":1}' : '{"data":null}',
  }));
  archive.appendEvents(rows, [], last + rows.length);
  for (const event of events) log.push(event);
}

function naive(
  patterns: readonly string[],
  through: number,
  { types, after = 0 }: { readonly types?: readonly string[]; readonly after?: number },
): number[] {
  const filter = types && new TypeFilter(types);
  const newest = new Map<string, number>();
  log.slice(0, through).forEach(({ topic, type = 'set' }, index) => {
    if (!patterns.some((one) => matches(one, topic))) return;
    if (!filter || filter.accepts(type)) newest.set(topic, index + 1);
  });
  return [...newest.values()]
    .filter((sequence) => {
      const { type = 'set', data = true } = log[sequence - 1] ?? { topic: '' };
      return sequence > after && (data || !TOMBSTONES.accepts(type));
    })
    .sort((left, right) => left - right);
}

async function search(
  options: Omit<LastSearchOptions, 'archive'>,
  { topicsMax = 1e6, between = () => {} }: { topicsMax?: number; between?: () => void } = {},
): Promise<{ found: number[]; steps: number }> {
  let steps = 0;
  const found = await findLast(new LastSearch({ archive, ...options }), {
    topicsMax,
    runStep: async (step) => {
      steps++;
      const result = step();
      between();
      return result;
    },
  });
  return { found, steps };
}

describe('last events', () => {
  test('any topics, patterns, types, ends and tombstones: what a scan of all events finds', async () => {
    const event = fc.record({
      topic: fc.constantFrom(...TOPICS),
      type: fc.constantFrom(...TYPES),
      data: fc.boolean(),
    });
    const types = fc.uniqueArray(fc.constantFrom('set', 'set*', 'gone', 'none', 'o*'), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 1, maxLength: 60 }),
        fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 4 }),
        fc.option(types, { nil: undefined }),
        fc.nat(60),
        fc.nat(60),
        async (events, patterns, wanted, past, after) => {
          archive.close();
          begin();
          store(events);
          const through = Math.max(0, log.length - past);
          const criteria = { patterns, ...(wanted && { types: wanted }) };
          const { found } = await search({ criteria, through, after, tombstones: TOMBSTONES });
          expect(found).toEqual(
            naive(patterns, through, { ...(wanted && { types: wanted }), after }),
          );
        },
      ),
    );
  });

  test('20,000 topics, and more events between the steps: all as of one position', async () => {
    store(Array.from({ length: 20_000 }, (_, index) => ({ topic: `user.${index}.x` })));
    const through = log.length;
    const criteria = { patterns: ['user.*.x'] };
    const between = () => store([{ topic: 'user.19999.x' }, { topic: 'user.7.y' }]);
    const { found, steps } = await search({ criteria, through }, { between });
    expect(found).toEqual(naive(criteria.patterns, through, {}));
    expect(steps).toBeGreaterThan(1);
  });

  test('a topic of 200,000 events of other types: short steps, and the right event', async () => {
    store([
      { topic: 'busy', type: 'rare' },
      { topic: 'quiet', type: 'rare' },
    ]);
    store(Array.from({ length: 200_000 }, () => ({ topic: 'busy' })));
    const criteria = { patterns: ['busy', 'quiet'], types: ['rare'] };
    const { found, steps } = await search({ criteria, through: log.length });
    expect(found).toEqual([1, 2]);
    expect(steps).toBeGreaterThan(5);
  });

  test('more topics than the limit: a typed error, long before all are found', async () => {
    store(Array.from({ length: 100_000 }, (_, index) => ({ topic: `user.${index}` })));
    let steps = 0;
    const between = () => {
      steps++;
    };
    const criteria = { patterns: ['user.*'] };
    await expect(
      search({ criteria, through: log.length }, { topicsMax: 100, between }),
    ).rejects.toMatchObject({ code: 'limit_exceeded', limit: 'last_topics', retryable: false });
    // All of them take a hundred steps; on a busy machine a step ends before it is through with its part.
    expect(steps).toBeLessThan(10);
    const { found } = await search({ criteria: { patterns: ['user.7'] }, through: log.length });
    expect(found).toEqual([8]);
  });

  test('events removed or filled in between: unavailable, not a mixture', async () => {
    store(Array.from({ length: 20 }, (_, index) => ({ topic: `t.${index}` })));
    const query = new LastSearch({ archive, criteria: { patterns: ['>'] }, through: 20 });
    archive.truncateAfter(10);
    expect(() => query.step({ topic: '' })).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
  });

  test('configured tombstones: none, some, and wrong ones', () => {
    expect(parseTombstones(' ')).toBeUndefined();
    expect(parseTombstones('a.deleted, b.*')?.list).toEqual(['a.deleted', 'b.*']);
    expect(() => parseTombstones('a.*.b')).toThrow(/TIDEMARK_TOMBSTONE_TYPES/);
  });
});
