import { expect, test } from 'vitest';
import { MessageRate, REFUSALS_MAX, type Verdict } from './message-rate.ts';

function countAt(rate: MessageRate, nowMs: number, times: number): Verdict[] {
  return Array.from({ length: times }, () => rate.countMessage(nowMs));
}

test('rate: a burst of a second: taken, the next refused, room again as time goes by', () => {
  const rate = new MessageRate(10, 0);
  expect(countAt(rate, 0, 10)).toEqual(Array(10).fill('accepted'));
  expect(countAt(rate, 0, 2)).toEqual(['refused', 'refused']);
  expect(countAt(rate, 200, 3)).toEqual(['accepted', 'accepted', 'refused']);
  expect(countAt(rate, 5000, 11).filter((verdict) => verdict === 'accepted')).toHaveLength(10);
});

test('rate: too fast for too long: over; a second of calm forgets what was refused', () => {
  const rate = new MessageRate(1, 0);
  expect(countAt(rate, 0, 1 + REFUSALS_MAX).at(-1)).toBe('refused');
  expect(countAt(rate, 1000, 2)).toEqual(['accepted', 'refused']);
  expect(countAt(rate, 1001, REFUSALS_MAX - 1).at(-1)).toBe('refused');
  expect(rate.countMessage(1001)).toBe('exceeded');
});
