import { expect, test } from 'vitest';
import { MessagePace, REFUSALS_MAX, type Verdict } from './message-rate.ts';

function takeAt(pace: MessagePace, nowMs: number, times: number): Verdict[] {
  return Array.from({ length: times }, () => pace.take(nowMs));
}

test('pace: a burst of a second: taken, the next refused, room again as time goes by', () => {
  const pace = new MessagePace(10, 0);
  expect(takeAt(pace, 0, 10)).toEqual(Array(10).fill('taken'));
  expect(takeAt(pace, 0, 2)).toEqual(['refused', 'refused']);
  expect(takeAt(pace, 200, 3)).toEqual(['taken', 'taken', 'refused']);
  expect(takeAt(pace, 5000, 11).filter((verdict) => verdict === 'taken')).toHaveLength(10);
});

test('pace: too fast for too long: over; a second of calm forgets what was refused', () => {
  const pace = new MessagePace(1, 0);
  expect(takeAt(pace, 0, 1 + REFUSALS_MAX).at(-1)).toBe('refused');
  expect(takeAt(pace, 1000, 2)).toEqual(['taken', 'refused']);
  expect(takeAt(pace, 1001, REFUSALS_MAX - 1).at(-1)).toBe('refused');
  expect(pace.take(1001)).toBe('over');
});
