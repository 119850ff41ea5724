import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SecondCounts } from './second-counts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a second: begins when its key counts first, ends without a trace, and then begins anew', () => {
  const counts = new SecondCounts();
  expect(counts.get('alice')).toBeUndefined();
  counts.add('alice', 1);
  vi.advanceTimersByTime(600);
  counts.add('bob', 5);
  expect(counts.add('alice', 2).count).toBe(3);
  vi.advanceTimersByTime(399);
  expect(counts.get('alice')?.count).toBe(3);
  vi.advanceTimersByTime(1);
  expect(counts.get('alice')).toBeUndefined();
  expect(counts.get('bob')?.count).toBe(5);
  expect(counts.add('alice', 7).count).toBe(7);
  vi.advanceTimersByTime(700);
  expect(counts.get('bob')).toBeUndefined();
  expect(counts.get('alice')?.count).toBe(7);
});

test('memory: keys that do nothing for a second are forgotten, others stay', () => {
  const counts = new SecondCounts();
  for (let n = 0; n < 1000; n++) counts.add(`key ${n}`, 1);
  for (let ms = 0; ms < 3000; ms += 500) {
    vi.advanceTimersByTime(500);
    counts.add('busy', 1);
  }
  expect(counts.size).toBe(1);
  vi.advanceTimersByTime(3000);
  expect(counts.size).toBe(0);
});
