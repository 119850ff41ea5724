import { describe, expect, test } from 'vitest';
import { mergeDistributions, percentilesOf, quantileOf } from './distribution.ts';
import { Growth } from './growth.ts';
import { Histogram } from './histogram.ts';

describe('growth', () => {
  test('a counter that stands still after a burst: the burst leaves after 10 s', () => {
    let events = 0;
    const growth = new Growth(() => ({ counters: { events }, histograms: {} }), 0);
    expect(growth.perSecond('events')).toBe(0);
    events = 100;
    for (let second = 1; second <= 10; second++) growth.sample(second * 1000);
    expect(growth.perSecond('events')).toBe(10);
    growth.sample(11_000);
    expect(growth.perSecond('events')).toBe(0);
  });

  test('samples that come late: the rate is that of the time that passed', () => {
    let events = 0;
    const growth = new Growth(() => ({ counters: { events }, histograms: {} }), 0);
    events = 400;
    growth.sample(40_000);
    expect(growth.perSecond('events')).toBe(10);
    events = 450;
    growth.sample(41_000);
    expect(growth.perSecond('events')).toBe(50);
  });

  test('a histogram: what it got meanwhile, and not what it had', () => {
    const lag = new Histogram([1, 10]);
    lag.observe(100, 5);
    const growth = new Growth(() => ({ counters: {}, histograms: { lag } }), 0);
    lag.observe(5, 3);
    growth.sample(1000);
    expect(growth.distribution('lag')).toEqual({ bounds: [1, 10], counts: [0, 3, 0] });
  });
});

describe('distributions', () => {
  test('quantiles: within the bucket, at the highest bound above all, and none of nothing', () => {
    const values = { bounds: [10, 20], counts: [50, 50, 0] };
    expect(quantileOf(values, 0.25)).toBe(5);
    expect(percentilesOf(values)).toEqual({ p50: 10, p99: 19.8 });
    expect(quantileOf({ bounds: [10], counts: [0, 7] }, 0.5)).toBe(10);
    expect(percentilesOf({ bounds: [10], counts: [0, 0] })).toBeNull();
  });

  test('of two processes whose bounds differ: each value stays in its bucket', () => {
    const merged = mergeDistributions([
      { bounds: [1, 10], counts: [1, 2, 3] },
      { bounds: [5], counts: [4, 5] },
    ]);
    expect(merged).toEqual({ bounds: [1, 5, 10], counts: [1, 4, 2, 8] });
    expect(mergeDistributions([])).toEqual({ bounds: [], counts: [0] });
  });
});
