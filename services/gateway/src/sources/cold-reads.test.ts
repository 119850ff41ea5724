import type { LogBounds } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import { type ArchiveTier, type ColdQuery, ColdReads, type StreamTier } from './cold-reads.ts';

const WAIT_MS = 10_000;

/** A clock that moves as fast as a caller waits for it. */
function createClock(): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    soon: queueMicrotask,
    after(ms, task) {
      queueMicrotask(() => {
        nowMs += ms;
        task();
      });
      return () => {};
    },
  };
}

function bounds(firstSequence: number, lastSequence: number, epoch = 'e'): LogBounds {
  return { epoch, firstSequence, lastSequence };
}

function query(after: number, through = 100): ColdQuery {
  return { epoch: 'e', patterns: new PatternSet(['a']), after, through, eventsMax: 10 };
}

interface Parts {
  readonly stream?: Partial<StreamTier>;
  readonly archive?: Partial<ArchiveTier>;
  readonly readsMax?: number;
}

function createReads({ stream, archive, readsMax = 2 }: Parts): ColdReads {
  const away = async (): Promise<never> => {
    throw new Error('away');
  };
  return new ColdReads({
    stream: {
      connected: true,
      bounds: away,
      boundsReaching: away,
      readSlice: away,
      sequenceBefore: away,
      ...stream,
    },
    archive: { bounds: away, readPage: away, sequenceBefore: away, ...archive },
    clock: createClock(),
    counters: new Counters(),
    readsMax,
    waitMs: WAIT_MS,
  });
}

describe('cold reads', () => {
  test('archive: lacks what the stream drops at this moment: the gap ends before it', async () => {
    // The archive may have received the dropped events and be about to write them.
    const firsts = [50, 50, 50, 50, 50, 50, 50, 50, 60, 60, 60];
    const reads = createReads({
      stream: { bounds: async () => bounds(firsts.shift() ?? 60, 100) },
      archive: { readPage: async () => ({ bounds: bounds(1, 45) }) },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 49 });
  });

  test('archive: behind the stream for good: a gap, after it has had time', async () => {
    const reads = createReads({
      stream: { bounds: async () => bounds(60, 100) },
      archive: {
        bounds: async () => bounds(1, 45),
        readPage: async () => ({ bounds: bounds(1, 45) }),
      },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 59 });
  });

  test('archive: away while the stream has the range: the stream answers', async () => {
    const reads = createReads({
      stream: {
        bounds: async () => bounds(40, 100),
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'events', through: 100 });
  });

  test('archive: away and the range expired: unavailable, nothing false', async () => {
    const reads = createReads({ stream: { bounds: async () => bounds(60, 100) } });
    await expect(reads.readPage(query(45))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('stream: expires in the middle of a read: the page is not taken', async () => {
    const answers = [bounds(40, 100), bounds(50, 100), bounds(50, 100)];
    const reads = createReads({
      stream: {
        bounds: async () => answers.shift() ?? bounds(50, 100),
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
      archive: {
        bounds: async () => bounds(50, 60),
        readPage: async () => ({ bounds: bounds(50, 60) }),
      },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 49 });
  });

  test('stream: another one by now: unavailable rather than its events', async () => {
    const reads = createReads({
      stream: {
        bounds: async () => bounds(1, 100, 'f'),
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
    });
    await expect(reads.readPage(query(45))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('reads: equal ones at a time: one, and the number under way is bounded', async () => {
    let underWay = 0;
    let most = 0;
    let begun = 0;
    const reads = createReads({
      readsMax: 3,
      archive: {
        async readPage({ through }) {
          begun++;
          most = Math.max(most, ++underWay);
          await new Promise((resolve) => setImmediate(resolve));
          underWay--;
          return { bounds: bounds(1, 100), page: { kind: 'events', entries: [], through } };
        },
      },
    });
    const all = Array.from({ length: 60 }, (_, index) => reads.readPage(query(index % 20)));
    await Promise.all(all);
    expect(begun).toBe(20);
    expect(most).toBe(3);
    expect(reads).toMatchObject({ underWay: 0, waiting: 0 });
  });

  test('reads: of an archive that does not answer: do not keep the stream from the others', async () => {
    const reads = createReads({
      readsMax: 1,
      stream: {
        bounds: async () => bounds(60, 100),
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
    });
    const order: string[] = [];
    const expired = reads.readPage(query(5)).catch(() => order.push('expired'));
    const there = reads.readPage(query(70)).then(() => order.push('there'));
    await Promise.all([expired, there]);
    expect(order).toEqual(['there', 'expired']);
  });
});
