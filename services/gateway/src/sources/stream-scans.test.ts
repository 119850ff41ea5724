import { expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Slice } from '../log/tail.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ColdQuery, ScanLimits, StreamTier } from './cold-reads.ts';
import { StreamScans } from './stream-scans.ts';

interface Asked {
  readonly queries: readonly ColdQuery[];
  readonly signal: AbortSignal | undefined;
  /** When it was asked, in the time of the clock. */
  readonly atMs: number;
  /** Of a read for several. */
  readonly isAwaited: (() => boolean) | undefined;
  answer(slices: readonly (Slice | undefined)[]): void;
  fail(error: Error): void;
}

/** A clock that goes on where the test says so. */
class TestClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  soon(task: () => void): void {
    setImmediate(task);
  }

  after(ms: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Lets the time pass, and all that has to be done in it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      for (let turn = 0; turn < 5; turn++) await new Promise((done) => setImmediate(done));
      const [next] = this.#timers.toSorted((one, other) => one.atMs - other.atMs);
      if (!next || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#nowMs = next.atMs;
      next.task();
    }
    this.#nowMs = endMs;
  }
}

/** Longer than a scan waits for readers where nobody comes. */
const QUIET_MS = 200;

/** Scans of a stream that answers when the test says so. */
function open() {
  const asked: Asked[] = [];
  const counters = new Counters();
  const clock = new TestClock();
  const ask = (queries: readonly ColdQuery[], limits: Partial<ScanLimits>) => {
    return new Promise<(Slice | undefined)[]>((resolve, reject) => {
      const { signal, isAwaited } = limits;
      const answer = (all: readonly (Slice | undefined)[]) => resolve([...all]);
      asked.push({ queries, signal, isAwaited, atMs: clock.nowMs(), answer, fail: reject });
    });
  };
  const readSlice = async (query: ColdQuery, signal?: AbortSignal) => {
    const [slice] = await ask([query], signal ? { signal } : {});
    if (!slice) throw new Error('A read of one has a slice.');
    return slice;
  };
  const stream = { readSlice, readSlices: ask } as unknown as StreamTier;
  const scans = new StreamScans({ stream, counters, clock });
  const read = (
    after: number,
    user: string,
    { signal = new AbortController().signal, through = 1e7 } = {},
  ) => {
    const query = { epoch: 'e', patterns: new PatternSet(['a']), after, through, eventsMax: 9 };
    return scans.read(query, { flow: { user, connection: {} }, signal });
  };
  return { asked, scans, read, counters, clock };
}

function to(through: number): Slice {
  return { entries: [], through };
}

/** Keeps all turns busy, so that those who come now wait. */
async function occupy({ read, clock }: ReturnType<typeof open>): Promise<Promise<Slice>[]> {
  const busy = ['w', 'x', 'y', 'z'].map((user, index) => read(index * 1e6, user));
  await clock.pass(QUIET_MS);
  return busy;
}

test('stream scans: alone: read as if there were no others', async () => {
  const { asked, read, clock } = open();
  const slice = read(5, 'u');
  await clock.pass(QUIET_MS);
  asked[0]?.answer([to(9)]);
  expect(await slice).toEqual(to(9));
  expect(asked.map(({ queries }) => queries.map(({ after }) => after))).toEqual([[5]]);
});

test('stream scans: a thousand readers wait: one scan serves them all', async () => {
  const parts = open();
  const { asked, read, scans, counters, clock } = parts;
  await occupy(parts);
  const slices = Array.from({ length: 1000 }, (_, index) => read(5_000_000 + index, `u${index}`));
  await clock.pass(QUIET_MS);
  expect(asked.length).toBe(4);
  asked[0]?.answer([to(9)]);
  await clock.pass(QUIET_MS);
  expect(asked[4]?.queries.length).toBe(1000);
  asked[4]?.answer(asked[4].queries.map(({ after }) => to(after + 1)));
  expect((await Promise.all(slices)).map(({ through }) => through)).toEqual(
    slices.map((_, index) => 5_000_001 + index),
  );
  expect(scans.waiting).toBe(3);
  expect(counters.streamScans).toBe(5);
});

test('stream scans: the scan ends before some: they get the next one', async () => {
  const parts = open();
  const { asked, read, clock } = parts;
  await occupy(parts);
  const slices = [read(5_000_000, 'a'), read(5_000_100, 'b'), read(5_000_200, 'c')];
  asked[0]?.answer([to(9)]);
  await clock.pass(QUIET_MS);
  asked[4]?.answer([to(5_000_050), undefined, undefined]);
  expect(await slices[0]).toEqual(to(5_000_050));
  await clock.pass(QUIET_MS);
  expect(asked[5]?.queries.map(({ after }) => after).sort()).toEqual([5_000_100, 5_000_200]);
  asked[5]?.answer([to(6e6), to(6e6)]);
  expect(await Promise.all(slices.slice(1))).toEqual([to(6e6), to(6e6)]);
});

test('stream scans: far apart: not one scan, so that nobody waits for the whole way between', async () => {
  const parts = open();
  const { asked, read, clock } = parts;
  await occupy(parts);
  void read(5_000_000, 'a');
  void read(9_000_000, 'b');
  asked[0]?.answer([to(9)]);
  asked[1]?.answer([to(9)]);
  await clock.pass(QUIET_MS);
  expect(asked.slice(4).map(({ queries }) => queries.length)).toEqual([1, 1]);
});

test('stream scans: all leave: the scan is aborted; one leaves: it goes on', async () => {
  const parts = open();
  const { asked, read, clock } = parts;
  await occupy(parts);
  const leaving = [new AbortController(), new AbortController()];
  const slices = leaving.map(({ signal }, index) => read(5_000_000, `u${index}`, { signal }));
  const results = Promise.allSettled(slices);
  asked[0]?.answer([to(9)]);
  await clock.pass(QUIET_MS);
  leaving[0]?.abort(new Error('left'));
  expect(asked[4]?.signal?.aborted).toBe(false);
  leaving[1]?.abort(new Error('left'));
  expect(asked[4]?.signal?.aborted).toBe(true);
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('stream scans: the stream fails: all of the scan are told, and nobody waits for the same again', async () => {
  const parts = open();
  const { asked, read, scans, clock } = parts;
  await occupy(parts);
  const results = Promise.allSettled([read(5_000_000, 'a'), read(5_000_000, 'b')]);
  asked[0]?.answer([to(9)]);
  await clock.pass(QUIET_MS);
  asked[4]?.fail(new Error('away'));
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(scans.waiting).toBe(3);
});

test('stream scans: one user with many readers: another user has a turn beside them', async () => {
  const { asked, read, clock } = open();
  for (let index = 0; index < 50; index++) void read(index * 1e6, 'greedy');
  await clock.pass(QUIET_MS);
  expect(asked.length).toBe(1);
  void read(5, 'other');
  await clock.pass(QUIET_MS);
  expect(asked.length).toBe(2);
});

test('stream scans: readers come one after the other: a scan waits for them, and serves them all', async () => {
  const { asked, read, clock } = open();
  for (let index = 0; index < 300; index++) {
    void read(0, `u${index}`);
    await clock.pass(10);
  }
  expect(asked).toEqual([]);
  await clock.pass(QUIET_MS);
  expect(asked.map(({ queries }) => queries.length)).toEqual([300]);
});

test('stream scans: readers never end to come: the scan begins all the same', async () => {
  const { asked, read, clock } = open();
  for (let index = 0; asked.length === 0 && clock.nowMs() < 7000; index++) {
    for (let reader = 0; reader <= index / 40; reader++) void read(0, `u${index}.${reader}`);
    await clock.pass(10);
  }
  expect(asked[0]?.atMs).toBeGreaterThan(3000);
  expect(asked[0]?.atMs).toBeLessThanOrEqual(6000);
});

test('stream scans: a short range: nobody waits for longer than a scan of it takes', async () => {
  const { asked, read, clock } = open();
  void read(0, 'a', { through: 600 });
  await clock.pass(5);
  void read(0, 'b', { through: 600 });
  await clock.pass(5);
  expect(asked.map(({ queries, atMs }) => [queries.length, atMs])).toEqual([[2, 10]]);
});

test('stream scans: few come where many wait: they take the next scan', async () => {
  const { asked, read, clock } = open();
  for (let index = 0; index < 2000; index++) void read(0, `u${index}`, { through: 60_000 });
  for (let index = 0; index < 20; index++) {
    void read(0, `late${index}`, { through: 60_000 });
    await clock.pass(50);
  }
  expect(asked.map(({ atMs }) => atMs)).toEqual([100]);
  expect(asked[0]?.isAwaited?.()).toBe(true);
});

test('stream scans: one user whose readers never end to come: keeps nobody else waiting', async () => {
  const { asked, read, clock } = open();
  void read(0, 'other');
  for (let index = 0; index < 100; index++) {
    for (let reader = 0; reader < 10; reader++) void read(0, 'greedy');
    await clock.pass(10);
  }
  expect(asked[0]?.atMs).toBeLessThanOrEqual(100);
  expect(asked[0]?.queries.length).toBeGreaterThan(1);
});

test('stream scans: all who wait have part in a scan: it is told that nobody waits for its end', async () => {
  const { asked, read, clock } = open();
  void read(0, 'a');
  void read(0, 'b');
  await clock.pass(QUIET_MS);
  expect(asked[0]?.isAwaited?.()).toBe(false);
  for (const user of ['c', 'd', 'e', 'f']) void read(0, user);
  await clock.pass(QUIET_MS);
  expect(asked[0]?.isAwaited?.()).toBe(true);
});

test('stream scans: the one whose turn it is leaves while its scan waits for others: they are served', async () => {
  const { asked, read, clock } = open();
  const leaving = new AbortController();
  const left = read(0, 'a', { signal: leaving.signal }).catch(({ message }: Error) => message);
  void read(0, 'b');
  void read(0, 'c');
  await clock.pass(10);
  leaving.abort(new Error('left'));
  expect(await left).toBe('left');
  await clock.pass(QUIET_MS);
  expect(asked.map(({ queries }) => queries.length)).toEqual([2]);
});
