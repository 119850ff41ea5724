import { statSync } from 'node:fs';
import type { CountsLoadCommands } from '../inbox/counts-load.ts';
import type { InboxPublisherCommands } from '../inbox/inbox-publisher.ts';
import { FOLLOWS, ITEMS } from '../inbox/population.ts';
import { readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const USERS = 100_000;
const PER_SECOND = 500;
const SECONDS = 20;
const BUSY_EVENTS_PER_SECOND = 20_000;
const MIB = 1024 ** 2;

export const inbox: BenchCase = {
  name: 'inbox',
  title: `inbox: counts of ${USERS} users, ${ITEMS} items each, ${FOLLOWS} follows`,
  sockets: 64,
  method: `${USERS} users with ${FOLLOWS} follows of shared topics each, and ${ITEMS} items, none of them read. The archive is filled through the stream, which gives the rate of the projector. Then \`GET /v1/inbox/counts\` of users in no order, ${PER_SECOND} requests a second in an open loop for ${SECONDS} s, each from the time when it was due and each answer checked; once while nothing is stored, and once while ${BUSY_EVENTS_PER_SECOND} events a second are.`,
  targets: [
    { value: 'p99Ms', text: 'p99 of counts', atMost: 5, unit: 'ms' },
    { value: 'busyP99Ms', text: 'p99 while events are stored', atMost: 5, unit: 'ms' },
    { value: 'projectedPerSecond', text: 'events projected', atLeast: 20_000, unit: '/s' },
  ],
  async run(options) {
    const users = options.quick ? USERS / 20 : USERS;
    const seconds = options.quick ? SECONDS / 4 : SECONDS;
    const stage = await Stage.open(options);
    try {
      const replay = await stage.startReplay({ profiled: true });
      const file = new URL('../inbox/inbox-publisher.ts', import.meta.url);
      const publisher = await stage.startWorker<InboxPublisherCommands>(file);
      await publisher.call('connect', { natsUrl: stage.nats.url });
      const filled = await measure(replay);
      const lastSequence = await publisher.call('populate', { users });
      await stage.untilProjected(replay, lastSequence);
      const { wallSeconds: fillSeconds, cpuSeconds: fillCpuSeconds } = await filled();
      const load = await stage.startWorker<CountsLoadCommands>(
        new URL('../inbox/counts-load.ts', import.meta.url),
      );
      const plan = {
        url: replay.url,
        users,
        requests: PER_SECOND * seconds,
        perSecond: PER_SECOND,
      };
      const warm = await load.call('ask', { ...plan, requests: PER_SECOND * 2 });
      verify('warming up', warm.faults);
      const residentBefore = residentBytes(replay.pid);
      const spent = await measure(replay);
      const quiet = await load.call('ask', plan);
      const { cpuSeconds, otherCores, load: loadAverage } = await spent();
      verify('counting', quiet.faults);
      const noise = { events: BUSY_EVENTS_PER_SECOND * seconds, perSecond: BUSY_EVENTS_PER_SECOND };
      const [busy, end] = await Promise.all([
        load.call('ask', plan),
        publisher.call('noise', noise),
      ]);
      verify('counting beside the projector', busy.faults);
      const position = (await readMetrics(replay.url)).get('tidemark_projection_position') ?? 0;
      return {
        p50Ms: quiet.p50Ms,
        p99Ms: quiet.p99Ms,
        maxMs: quiet.maxMs,
        busyP50Ms: busy.p50Ms,
        busyP99Ms: busy.p99Ms,
        busyLagEvents: Math.max(0, end - position),
        projectedPerSecond: lastSequence / fillSeconds,
        cpuUsPerEvent: (1e6 * fillCpuSeconds) / lastSequence,
        cpuMsPerCount: (1000 * cpuSeconds) / plan.requests,
        residentGrowthMiB: (residentBytes(replay.pid) - residentBefore) / MIB,
        residentMiB: residentBytes(replay.pid) / MIB,
        archiveMiB: statSync(stage.archiveFile).size / MIB,
        otherCores,
        loadAverage,
      };
    } finally {
      await stage.close();
    }
  },
};
