import { availableParallelism } from 'node:os';
import { readGatewayConfiguration } from '@tidemark/config';
import { expect, test } from 'vitest';
import { configurationOfOne, partOf, processCount } from './processes.ts';

const configuration = readGatewayConfiguration({});

test('processes: one by default, and `auto` is what the machine has', () => {
  expect(processCount(configuration)).toBe(1);
  expect(processCount({ processes: '3' })).toBe(3);
  expect(processCount({ processes: 'auto' })).toBe(availableParallelism());
});

test('one process: has the configuration as it is', () => {
  expect(configurationOfOne(configuration, 1)).toBe(configuration);
});

test('several: memory and work are divided, and what limits clients is not', () => {
  const part = configurationOfOne(configuration, 3);
  const { tailBytesMax, tailEventsMax, coldReadsMax, lastBytesMax, ...same } = part;
  expect({ tailBytesMax, tailEventsMax, coldReadsMax, lastBytesMax }).toEqual({
    tailBytesMax: Math.ceil(configuration.tailBytesMax / 3),
    tailEventsMax: Math.ceil(500_000 / 3),
    coldReadsMax: 6,
    lastBytesMax: Math.ceil(configuration.lastBytesMax / 3),
  });
  expect(configuration).toMatchObject(same);
});

test('many: each has what a process needs', () => {
  const part = configurationOfOne(
    readGatewayConfiguration({ TIDEMARK_GATEWAY_COLD_READS_MAX: '4' }),
    64,
  );
  expect(part.coldReadsMax).toBe(1);
  expect(part.lastBytesMax).toBe(1024 * 1024);
  expect(64 * partOf(100_000, 64)).toBeGreaterThanOrEqual(100_000);
});
