import { expect, test } from 'vitest';
import { restartDelayMs } from './slot.ts';

test('restarts: soon at first, then ever later, and twice a minute at least', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map(restartDelayMs)).toEqual([
    1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
  ]);
});
