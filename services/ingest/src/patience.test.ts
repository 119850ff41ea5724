import { expect, test } from 'vitest';
import { Patience } from './patience.ts';

test('patience: ends with the wait, and what is done for the request is none', () => {
  let nowMs = 1000;
  const patience = new Patience(100, () => nowMs);
  nowMs += 60;
  expect([patience.waitedMs, patience.leftMs]).toEqual([60, 40]);
  const work = () => {
    nowMs += 500;
    return 'done';
  };
  expect(patience.pausedFor(work)).toBe('done');
  expect(() =>
    patience.pausedFor(() => {
      nowMs += 500;
      throw new Error('failed');
    }),
  ).toThrow('failed');
  expect(patience.leftMs).toBe(40);
  nowMs += 41;
  expect([patience.waitedMs, patience.leftMs]).toEqual([100, 0]);
});
