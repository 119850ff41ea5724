import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

test('histogram: quantiles are at most five per cent too large, and never beyond the largest time', () => {
  const times = new Histogram();
  expect(times.quantile(0.5)).toBeUndefined();
  for (let ms = 1; ms <= 1000; ms++) times.add(ms);
  for (const part of [0.01, 0.5, 0.99]) {
    const exact = part * 1000;
    expect(times.quantile(part)).toBeGreaterThanOrEqual(exact);
    expect(times.quantile(part)).toBeLessThanOrEqual(exact * 1.051);
  }
  expect(times.quantile(1)).toBe(1000);
  times.add(0);
  expect(times.count).toBe(1001);
});
