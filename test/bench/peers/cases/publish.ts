import type { Values } from '../../cases/bench-case.ts';
import { Unverified } from '../../system/measurement.ts';
import type { Arena } from '../arena.ts';
import { type ComparisonCase, circumstances, EVENT_BYTES } from './comparison-case.ts';

const PUBLISHERS = 64;
const BATCH = 100;
const SECONDS = 5;
/** V8 still compiles for some seconds. */
const WARM_UP_SECONDS = 6;
const TOPICS = { prefix: 'publish', audiences: PUBLISHERS, topicsEach: 1 };

export const publish: ComparisonCase = {
  name: 'publish',
  title: `publish over HTTP, ${PUBLISHERS} requests at once`,
  method: `${PUBLISHERS} connections, each on a topic of its own with one request at a time, for ${SECONDS} s after ${WARM_UP_SECONDS} s that do not count: one event of ${EVENT_BYTES} bytes in each, and then ${BATCH} in each. Every answer must say that its events were taken, and the stream must hold exactly as many more as were acknowledged. No client listens.`,
  rows: [
    { value: 'singlePerSecond', text: 'single events', unit: '/s', better: 'higher' },
    { value: 'singleP99Ms', text: 'single events, p99', unit: 'ms', better: 'lower' },
    {
      value: 'singleCpuUs',
      text: 'CPU of the whole system for a single event',
      unit: 'µs',
      better: 'lower',
    },
    { value: 'batchPerSecond', text: 'events in batches of 100', unit: '/s', better: 'higher' },
    { value: 'batchP99Ms', text: 'batches of 100, p99', unit: 'ms', better: 'lower' },
    {
      value: 'batchCpuUs',
      text: 'CPU of the whole system for an event of a batch',
      unit: 'µs',
      better: 'lower',
    },
  ],
  sockets: PUBLISHERS,
  needs: { recovery: false },
  async run(arena, { quick }) {
    const shorter = quick ? 4 : 1;
    const single = await flood(arena, 1, shorter);
    const batch = await flood(arena, BATCH, shorter);
    return {
      singlePerSecond: single.perSecond,
      singleP50Ms: single.p50Ms,
      singleP99Ms: single.p99Ms,
      singleCpuUs: single.cpuUs,
      singlePublisherCores: single.circumstances.publisherCores ?? Number.NaN,
      batchPerSecond: batch.perSecond,
      batchP50Ms: batch.p50Ms,
      batchP99Ms: batch.p99Ms,
      batchCpuUs: batch.cpuUs,
      ...batch.circumstances,
    };
  },
};

async function flood(
  arena: Arena,
  batch: number,
  shorter: number,
): Promise<{
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuUs: number;
  circumstances: Values;
}> {
  const { publisher, system } = arena;
  const plan = {
    target: system.target,
    topics: TOPICS,
    eventBytes: EVENT_BYTES,
    publishers: PUBLISHERS,
    batch,
  };
  await publisher.call('flood', { ...plan, seconds: WARM_UP_SECONDS / shorter });
  const storedBefore = await system.stored?.();
  const used = arena.measure();
  const report = await publisher.call('flood', { ...plan, seconds: SECONDS / shorter });
  const spent = used();
  const { events, latency, startedUs, endedUs } = report;
  const stored = ((await system.stored?.()) ?? 0) - (storedBefore ?? 0);
  if (storedBefore !== undefined && stored !== events) {
    throw new Unverified(`${events} events were acknowledged, and ${stored} were stored`);
  }
  return {
    perSecond: (events * 1e6) / (endedUs - startedUs),
    p50Ms: latency.p50Ms,
    p99Ms: latency.p99Ms,
    cpuUs: (spent.whole * 1e6) / events,
    circumstances: circumstances(spent),
  };
}
