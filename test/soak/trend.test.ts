import { expect, test } from 'vitest';
import { trendOf } from './trend.ts';

/** Noise that is the same in each run. */
function noise(index: number): number {
  return ((index * 7919) % 101) / 101 - 0.5;
}

function series(value: (index: number) => number) {
  return Array.from({ length: 60 }, (_, index) => ({ atS: index * 5, value: value(index) }));
}

test('flat with noise and outliers: no certain growth', () => {
  const trend = trendOf(series((index) => 100 + 10 * noise(index) + (index % 17 === 3 ? 80 : 0)));
  expect(trend.isCertain).toBe(false);
  expect(trend.median).toBeCloseTo(100, -1);
});

test('constant: no growth, and nothing is certain', () => {
  expect(trendOf(series(() => 7))).toEqual({ median: 7, growth: 0, isCertain: false });
});

test('slow growth under noise: found, with its size', () => {
  const trend = trendOf(series((index) => 100 + index * 0.5 + 10 * noise(index)));
  expect(trend.isCertain).toBe(true);
  expect(trend.growth).toBeGreaterThan(25);
  expect(trend.growth).toBeLessThan(35);
});

test('growth in steps: found', () => {
  expect(trendOf(series((index) => Math.floor(index / 10)))).toMatchObject({ isCertain: true });
});

test('decline: certain, and negative', () => {
  const trend = trendOf(series((index) => 100 - index));
  expect(trend.isCertain).toBe(true);
  expect(trend.growth).toBeLessThan(0);
});
