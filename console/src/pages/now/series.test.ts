import { expect, test } from 'vitest';
import type { Sample } from '../../api/stats-feed.ts';
import type { GatewayStats, Stats, Together } from '../../api/types.ts';
import { gatewaySeries, togetherSeries } from './series.ts';

function sample(at: number, connections: number, gateways: readonly string[] = []): Sample {
  const services = gateways.map((instance) => ({
    service: 'gateway',
    instance,
    slow: connections,
  }));
  return { at, stats: { together: { connections }, services } as unknown as Stats };
}

const connections = [{ name: 'connections', read: (one: Together) => one.connections }];
const slow = (one: GatewayStats) => one.slow;

test('lines: figures each second: are one line without a hole', () => {
  const { times, lines } = togetherSeries([sample(1000, 5), sample(2000, 6)], connections);
  expect(times).toEqual([1000, 2000]);
  expect(lines[0]?.values).toEqual([5, 6]);
});

test('lines: figures after an outage: begin anew behind a hole', () => {
  const { times, lines } = togetherSeries([sample(1000, 5), sample(9000, 6)], connections);
  expect(times).toEqual([1000, 1001, 9000]);
  expect(lines[0]?.values).toEqual([5, null, 6]);
});

test('lines by gateway: a gateway that came later: has none before', () => {
  const samples = [sample(1000, 1, ['a']), sample(2000, 2, ['a', 'b'])];
  const { lines } = gatewaySeries(samples, slow);
  expect(lines.map(({ name, values }) => [name, values])).toEqual([
    ['a', [1, 2]],
    ['b', [null, 2]],
  ]);
});

test('lines by gateway: more gateways than colours: are as many lines as colours', () => {
  const names = Array.from({ length: 20 }, (_, index) => `gateway-${index}`);
  const { lines } = gatewaySeries([sample(1000, 1, names)], slow);
  expect(new Set(lines.map(({ color }) => color)).size).toBe(lines.length);
  expect(lines.length).toBeLessThan(names.length);
});
