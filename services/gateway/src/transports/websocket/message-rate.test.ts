import { expect, test } from 'vitest';
import { MessageRate, REFUSALS_MAX, type Verdict } from './message-rate.ts';

function takeAt(pace: MessageRate, nowMs: number, times: number): Verdict[] {
  return Array.from({ length: times }, () => pace.take(nowMs));
}

test('pace: a burst of a second: taken, the next refused, room again as time goes by', () => {
  const pace = new MessageRate(10, 0);
  expect(takeAt(pace, 0, 10)).toEqual(Array(10).fill('accepted'));
  expect(takeAt(pace, 0, 2)).toEqual(['refused', 'refused']);
  expect(takeAt(pace, 200, 3)).toEqual(['accepted', 'accepted', 'refused']);
  expect(takeAt(pace, 5000, 11).filter((verdict) => verdict === 'accepted')).toHaveLength(10);
});

test('pace: too fast for too long: over; a second of calm forgets what was refused', () => {
  const pace = new MessageRate(1, 0);
  expect(takeAt(pace, 0, 1 + REFUSALS_MAX).at(-1)).toBe('refused');
  expect(takeAt(pace, 1000, 2)).toEqual(['accepted', 'refused']);
  expect(takeAt(pace, 1001, REFUSALS_MAX - 1).at(-1)).toBe('refused');
  expect(pace.take(1001)).toBe('exceeded');
});
