import { Permits } from '@tidemark/fairness';
import { type LogBounds, TidemarkError } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import {
  type ArchiveRead,
  type ArchiveTier,
  type ColdQuery,
  ColdReads,
  type StreamTier,
} from './cold-reads.ts';

const WAIT_MS = 10_000;

/** Of a slow archive, in real time. */
const SLOW_MS = 400;

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

/** No archive has got that far. */
function behind(): ArchiveRead {
  return { lack: { through: Number.POSITIVE_INFINITY, mayCome: true } };
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
  const clock = createClock();
  return new ColdReads({
    stream: {
      connected: true,
      bounds: away,
      boundsReaching: away,
      readSlice: away,
      readSlices: away,
      sequenceBefore: away,
      ...stream,
    },
    archive: {
      bounds: away,
      readPage: away,
      findLast: away,
      readEvents: away,
      sequenceBefore: away,
      ...archive,
    },
    clock,
    counters: new Counters(),
    reads: new Permits({ max: readsMax, nowMs: clock.nowMs }),
    waitMs: WAIT_MS,
  });
}

describe('cold reads', () => {
  test('archive: lacks what the stream drops at this moment: the gap ends before it', async () => {
    // The archive may have received the dropped events and be about to write them.
    const firsts = [50, 50, 50, 50, 50, 50, 50, 50, 60, 60, 60];
    const reads = createReads({
      stream: { bounds: async () => bounds(firsts.shift() ?? 60, 100) },
      archive: { readPage: async () => behind() },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 49 });
  });

  test('archive: behind the stream for good: a gap, after it has had time', async () => {
    const reads = createReads({
      stream: { bounds: async () => bounds(60, 100) },
      archive: { readPage: async () => behind() },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 59 });
  });

  test('archive: has too much to do: asked again for the same user, and the stream is left alone', async () => {
    const users: (string | undefined)[] = [];
    let streamAsked = 0;
    const reads = createReads({
      stream: {
        bounds: async () => {
          streamAsked++;
          return bounds(1, 100);
        },
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
      archive: {
        readPage: async (_, user) => {
          users.push(user);
          const cause = new TidemarkError('limit_exceeded', 'Too much.');
          if (users.length < 3) throw new TidemarkError('unavailable', 'None.', { cause });
          return { page: { kind: 'events', entries: [], through: 100 } };
        },
      },
    });
    const applicant = {
      flow: { user: 'a', connection: {} },
      signal: new AbortController().signal,
    };
    expect(await reads.readPage(query(45), applicant)).toMatchObject({ through: 100 });
    expect(users).toEqual(['a', 'a', 'a']);
    expect(streamAsked).toBe(0);
  });

  test('archives: one behind, another begins in what was dropped: the gap ends before it', async () => {
    const reads = createReads({
      stream: { bounds: async () => bounds(80, 100) },
      archive: { readPage: async () => ({ lack: { through: 59, mayCome: true } }) },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'gap', through: 59 });
  });

  test('archives: a hole that the stream still has: the stream answers', async () => {
    const reads = createReads({
      stream: {
        bounds: async () => bounds(40, 100),
        readSlice: async ({ through }) => ({ entries: [], through }),
      },
      archive: { readPage: async () => ({ lack: { through: 59, mayCome: false } }) },
    });
    expect(await reads.readPage(query(45))).toMatchObject({ kind: 'events', through: 100 });
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
      archive: { readPage: async () => ({ lack: { through: 49, mayCome: false } }) },
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
          return { page: { kind: 'events', entries: [], through } };
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

  test('reads: hundreds that are left at once: do not delay another one', async () => {
    let asked = 0;
    const reads = createReads({
      readsMax: 2,
      archive: {
        async readPage({ after, through }) {
          asked++;
          // The reads that are left are slow ones.
          if (after > 0) await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
          return { bounds: bounds(1, 100), page: { kind: 'events', entries: [], through } };
        },
      },
    });
    const readers = Array.from({ length: 300 }, createReader);
    const leaving = readers.map(({ signal }, index) => {
      const page = reads.readPage(query(index + 1), {
        flow: { user: 'u', connection: {} },
        signal,
      });
      return page.catch(({ message }: Error) => message);
    });
    for (const { abort } of readers) abort();
    const startMs = performance.now();
    expect(await reads.readPage(query(0))).toMatchObject({ kind: 'events', through: 100 });
    expect(performance.now() - startMs).toBeLessThan(SLOW_MS / 2);
    expect(asked).toBe(3);
    expect(new Set(await Promise.all(leaving)).size).toBe(1);
    expect(reads.waiting).toBe(0);
  });

  test('reads: shared: goes on while one waits for it, and ends with the last', async () => {
    const signals: AbortSignal[] = [];
    const reads = createReads({
      stream: {
        bounds: async () => bounds(1, 100),
        readSlice: (_, signal) => {
          if (signal) signals.push(signal);
          return new Promise(() => {});
        },
      },
    });
    const readers = [createReader(), createReader()];
    const pages = readers.map(({ signal }) => {
      return reads
        .readPage(query(0), { flow: { user: 'u', connection: {} }, signal })
        .catch(() => 'left');
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(signals).toHaveLength(1);
    readers[0]?.abort();
    expect(signals[0]?.aborted).toBe(false);
    readers[1]?.abort();
    expect(signals[0]?.aborted).toBe(true);
    expect(await Promise.all(pages)).toEqual(['left', 'left']);
    expect(reads).toMatchObject({ underWay: 0, waiting: 0 });
  });

  test('reads: given up between two attempts: is not tried again', async () => {
    let attempts = 0;
    const { signal, abort } = createReader();
    const reads = createReads({
      archive: {
        readPage: async () => {
          attempts++;
          if (attempts === 3) abort();
          throw new Error('away');
        },
      },
    });
    await expect(
      reads.readPage(query(0), { flow: { user: 'u', connection: {} }, signal }),
    ).rejects.toThrow('Nobody waits');
    await new Promise((resolve) => setImmediate(resolve));
    expect(attempts).toBe(3);
  });
});

function createReader(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const leaving = new AbortController();
  return { signal: leaving.signal, abort: () => leaving.abort() };
}
