import { setImmediate } from 'node:timers/promises';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Archive } from '../archive/archive.ts';
import type { ArchiveSnapshot } from '../archive/archive-store.ts';
import { parseTopicsQuery } from './query.ts';
import { PlaceSealer } from './sealed-place.ts';
import { readTopics } from './topics.ts';

const LIMIT_MAX = 1000;

let archive: Archive;
let sealer: PlaceSealer;

beforeEach(() => {
  archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
  sealer = new PlaceSealer(() => undefined);
});

afterEach(() => {
  vi.restoreAllMocks();
  archive.close();
});

function store(topics: readonly string[]): void {
  const last = archive.bounds?.lastSequence ?? 0;
  const events = topics.map((topic, index) => {
    return { sequence: last + index + 1, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  });
  archive.appendEvents(events, [], last + events.length);
}

interface Asking {
  readonly scope?: string;
  readonly subject?: string;
  readonly query?: Record<string, string>;
}

async function runStep<T>(step: () => T): Promise<T> {
  await setImmediate();
  return step();
}

function ask({ scope = '*.mine', subject = 'alice', query = {} }: Asking) {
  const { bounds } = archive;
  if (!bounds) expect.fail();
  const grants = scope.split(' ').map((pattern) => ({ action: 'history' as const, pattern }));
  const principal = { subject, grants, admin: false, expiresAtMs: 0 };
  const snapshot: ArchiveSnapshot = { archive, bounds };
  const options = { principal, limitMax: LIMIT_MAX, sealer, runStep };
  return readTopics(snapshot, parseTopicsQuery(query, LIMIT_MAX), options);
}

/** Follows `next` to the end. */
async function readAll(asking: Asking) {
  const pages = [await ask(asking)];
  for (let next = pages.at(-1)?.next; next !== null && next !== undefined; ) {
    pages.push(await ask({ ...asking, query: { ...asking.query, after: next } }));
    next = pages.at(-1)?.next;
  }
  return pages;
}

/** Lets each look at the clock take a step's whole time, so that a step is one read of 200 names. */
function useSlowClock(): void {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 10));
}

/** 16,000 topics of others, and three that the token may see. */
const MINE = ['user00007.mine', 'user06999.mine', 'user15999.mine'];

function storeMany(): void {
  store(Array.from({ length: 16_000 }, (_, i) => `user${String(i).padStart(5, '0')}.hidden`));
  store(MINE);
}

describe('topics', () => {
  test('topics: few among many: pages that end early, all of them together once and in order', async () => {
    storeMany();
    useSlowClock();
    const pages = await readAll({});
    expect(pages.length).toBeGreaterThan(2);
    const found = pages.flatMap(({ items }) => items.map(({ topic }) => topic));
    expect(found).toEqual(MINE);
    expect(pages.map(({ complete }) => complete)).toEqual(
      pages.map((_, i) => i === pages.length - 1),
    );
  });

  test('topics: the place that a page reached: tells nothing of it, not even its length', async () => {
    storeMany();
    useSlowClock();
    const [first, second] = await readAll({});
    const sealed = [first, second].map((page) => page?.next?.split('~')[1] ?? '');
    expect(first?.next?.split('~')[0]).toBe(MINE[0]);
    for (const text of sealed) {
      expect(text).toHaveLength(sealed[0]?.length ?? 0);
      expect(Buffer.from(text, 'base64url').includes('hidden')).toBe(false);
    }
    expect(sealed[0]).not.toBe(sealed[1]);
  });

  test('topics: a place with another query, of another user, or of another process: not used', async () => {
    storeMany();
    useSlowClock();
    const [page] = await readAll({});
    const after = page?.next ?? expect.fail();
    // The search begins at the named topic, and comes to an end in one answer.
    const rest = { items: MINE.slice(1).map((topic) => ({ topic })), complete: true };
    const query = { after };
    expect(await ask({ subject: 'mallory', query })).toMatchObject(rest);
    expect(await ask({ query: { after, topics: '>' } })).toMatchObject(rest);
    sealer = new PlaceSealer(() => undefined);
    expect(await ask({ query })).toMatchObject(rest);
    expect(await ask({ query: { after: `${MINE[0]}~x` } })).toMatchObject(rest);
  });

  test('topics: one that was made to be compared with the place: not listed from there on', async () => {
    storeMany();
    useSlowClock();
    const [page] = await readAll({});
    store(['zzz.mine']);
    const [rest, all] = await Promise.all([
      readAll({ query: { after: page?.next ?? expect.fail() } }),
      readAll({ query: { after: MINE[1] ?? '' } }),
    ]);
    const topics = (pages: typeof all) => pages.flatMap(({ items }) => items.map((i) => i.topic));
    expect(topics(rest)).not.toContain('zzz.mine');
    expect(topics(all)).toContain('zzz.mine');
  });

  test('topics: 100 patterns of 16 tokens over 20,000 topics: little work', async () => {
    const head = Array.from({ length: 13 }, () => 'a').join('.');
    store(Array.from({ length: 20_000 }, (_, index) => `${head}.b.y${index}.z`));
    const many = Array.from({ length: 100 }, (_, index) => `${head}.*.x${index}.z`);
    const scope = [...many, `${head}.>`].join(' ');
    const start = process.cpuUsage();
    await readAll({ scope, query: { topics: many.join(',') } });
    const { user, system } = process.cpuUsage(start);
    // 50 ms of the processor; comparing each pattern took 1.3 s.
    expect((user + system) / 1000).toBeLessThan(600);
  });

  test.each(['a~b~c', 'a..b', '*~x'])('topics: after=%s: refused', (after) => {
    expect(() => parseTopicsQuery({ after }, LIMIT_MAX)).toThrow(
      expect.objectContaining({ code: 'invalid_topic' }),
    );
  });
});
