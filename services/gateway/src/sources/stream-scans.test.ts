import { expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Slice } from '../log/tail.ts';
import type { ColdQuery, StreamTier } from './cold-reads.ts';
import { StreamScans } from './stream-scans.ts';

interface Asked {
  readonly queries: readonly ColdQuery[];
  readonly signal: AbortSignal | undefined;
  answer(slices: readonly (Slice | undefined)[]): void;
  fail(error: Error): void;
}

/** Scans of a stream that answers when the test says so. */
function open() {
  const asked: Asked[] = [];
  const counters = new Counters();
  const readSlices = (queries: readonly ColdQuery[], signal?: AbortSignal) => {
    return new Promise<(Slice | undefined)[]>((resolve, reject) => {
      asked.push({ queries, signal, answer: (all) => resolve([...all]), fail: reject });
    });
  };
  const readSlice = async (query: ColdQuery, signal?: AbortSignal) => {
    const [slice] = await readSlices([query], signal);
    if (!slice) throw new Error('A read of one has a slice.');
    return slice;
  };
  const stream = { readSlice, readSlices } as unknown as StreamTier;
  const scans = new StreamScans({ stream, counters, nowMs: () => performance.now() });
  const read = (after: number, user: string, signal = new AbortController().signal) => {
    const query = {
      epoch: 'e',
      patterns: new PatternSet(['a']),
      after,
      through: 1e7,
      eventsMax: 9,
    };
    return scans.read(query, { flow: { user, connection: {} }, signal });
  };
  return { asked, scans, read, counters };
}

function to(through: number): Slice {
  return { entries: [], through };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Keeps all turns busy, so that those who come now wait. */
async function occupy({ read }: ReturnType<typeof open>): Promise<Promise<Slice>[]> {
  const busy = ['w', 'x', 'y', 'z'].map((user, index) => read(index * 1e6, user));
  await turns();
  return busy;
}

test('stream scans: alone: read as if there were no others', async () => {
  const { asked, read } = open();
  const slice = read(5, 'u');
  await turns();
  asked[0]?.answer([to(9)]);
  expect(await slice).toEqual(to(9));
  expect(asked.map(({ queries }) => queries.map(({ after }) => after))).toEqual([[5]]);
});

test('stream scans: a thousand readers wait: one scan serves them all', async () => {
  const parts = open();
  const { asked, read, scans, counters } = parts;
  await occupy(parts);
  const slices = Array.from({ length: 1000 }, (_, index) => read(5_000_000 + index, `u${index}`));
  await turns();
  expect(asked.length).toBe(4);
  asked[0]?.answer([to(9)]);
  await turns();
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
  const { asked, read } = parts;
  await occupy(parts);
  const slices = [read(5_000_000, 'a'), read(5_000_100, 'b'), read(5_000_200, 'c')];
  asked[0]?.answer([to(9)]);
  await turns();
  asked[4]?.answer([to(5_000_050), undefined, undefined]);
  expect(await slices[0]).toEqual(to(5_000_050));
  await turns();
  expect(asked[5]?.queries.map(({ after }) => after).sort()).toEqual([5_000_100, 5_000_200]);
  asked[5]?.answer([to(6e6), to(6e6)]);
  expect(await Promise.all(slices.slice(1))).toEqual([to(6e6), to(6e6)]);
});

test('stream scans: far apart: not one scan, so that nobody waits for the whole way between', async () => {
  const parts = open();
  const { asked, read } = parts;
  await occupy(parts);
  void read(5_000_000, 'a');
  void read(9_000_000, 'b');
  asked[0]?.answer([to(9)]);
  asked[1]?.answer([to(9)]);
  await turns();
  expect(asked.slice(4).map(({ queries }) => queries.length)).toEqual([1, 1]);
});

test('stream scans: all leave: the scan is aborted; one leaves: it goes on', async () => {
  const parts = open();
  const { asked, read } = parts;
  await occupy(parts);
  const leaving = [new AbortController(), new AbortController()];
  const slices = leaving.map(({ signal }, index) => read(5_000_000, `u${index}`, signal));
  const results = Promise.allSettled(slices);
  asked[0]?.answer([to(9)]);
  await turns();
  leaving[0]?.abort(new Error('left'));
  expect(asked[4]?.signal?.aborted).toBe(false);
  leaving[1]?.abort(new Error('left'));
  expect(asked[4]?.signal?.aborted).toBe(true);
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('stream scans: the stream fails: all of the scan are told, and nobody waits for the same again', async () => {
  const parts = open();
  const { asked, read, scans } = parts;
  await occupy(parts);
  const results = Promise.allSettled([read(5_000_000, 'a'), read(5_000_000, 'b')]);
  asked[0]?.answer([to(9)]);
  await turns();
  asked[4]?.fail(new Error('away'));
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(scans.waiting).toBe(3);
});

test('stream scans: one user with many readers: another user has a turn beside them', async () => {
  const { asked, read } = open();
  for (let index = 0; index < 50; index++) void read(index * 1e6, 'greedy');
  await turns();
  expect(asked.length).toBe(1);
  void read(5, 'other');
  await turns();
  expect(asked.length).toBe(2);
});
