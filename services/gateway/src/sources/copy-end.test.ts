import { expect, test } from 'vitest';
import { believedSlice, type CopySlice } from './copy-end.ts';

const RANGE = { after: 10, through: 20 };

/** The leader's records, of which some may be no events. */
function leaderOf(...sequences: number[]) {
  return async (after: number) => sequences.find((sequence) => sequence > after);
}

function sliceOf(through: number, delivered?: CopySlice['delivered']): CopySlice {
  return { entries: [], through, delivered };
}

test('copy: has all that the leader has: covers the range', async () => {
  const slice = sliceOf(20, { first: 12, last: 18 });
  await expect(believedSlice(slice, RANGE, leaderOf(12, 15, 18))).resolves.toBe(slice);
});

test('copy: begins later than the leader, which has dropped less: is not believed', async () => {
  const leader = leaderOf(12, 13, 14, 18);
  for (const through of [16, 20]) {
    const slice = sliceOf(through, { first: 14, last: 16 });
    await expect(believedSlice(slice, RANGE, leader)).rejects.toThrow('begins later');
  }
});

test('copy: begins with the range: the leader is not asked for the begin', async () => {
  const asked: number[] = [];
  const ask = async (after: number) => {
    asked.push(after);
    return undefined;
  };
  await believedSlice(sliceOf(20, { first: 11, last: 19 }), RANGE, ask);
  expect(asked).toEqual([19]);
});

test('copy: ends before the leader: covers the range up to what it lacks', async () => {
  const slice = sliceOf(20, { first: 11, last: 14 });
  const believed = await believedSlice(slice, RANGE, leaderOf(11, 14, 17));
  expect(believed.through).toBe(16);
});

test('copy: has nothing, and the leader has the first record: is not believed', async () => {
  await expect(believedSlice(sliceOf(20), RANGE, leaderOf(11))).rejects.toThrow('lags');
});

test('copy: its only record is no event: covers the range', async () => {
  const slice = sliceOf(20, { first: 11, last: 11 });
  await expect(believedSlice(slice, RANGE, leaderOf(11))).resolves.toBe(slice);
});
