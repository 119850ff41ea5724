import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadCommands } from '../load/load.ts';
import type { Worker } from '../system/commands.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import type { ServiceProcess } from '../system/service-process.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const READERS = 1000;
const SLEEPERS = 1000;
const PER_SECOND = 200;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 120_000;
/** Small, so that the tail is full before the measurement and its memory does not grow. */
const TAIL_EVENTS_MAX = 20_000;
const TOPICS = { prefix: 'stalled', audiences: 1, topicsEach: 1 };
const EVENTS = { topics: TOPICS, eventBytes: EVENT_BYTES };
const CLIENTS = {
  eventBytes: EVENT_BYTES,
  timed: true,
  check: 'sequence',
  topics: TOPICS,
  until: 'liveUs',
  timeoutMs: TIMEOUT_MS,
} as const;

/** The kernel takes megabytes for an unread socket before the gateway has to wait. */
const FILL_EVENTS = 2000;
const FILLS_MAX = 20;
/** The bytes that a connection may hold unsent (PROTOCOL.md section 8), in KiB. */
const UNSENT_KIB_MAX = 64;

export const stalled: BenchCase = {
  name: 'stalled',
  title: 'half of 2,000 clients stalled',
  sockets: READERS + SLEEPERS,
  method: `p99 of ${PER_SECOND} events a second at ${READERS} WebSocket clients, alone on the gateway and then again with ${SLEEPERS} more clients of the same topic that have stopped to read and whose sockets are full; in the end these read on, and every event must reach them. Memory: growth of the gateway from before they stopped to the end, through their number; its tail is full before, so that it does not grow for other reasons.`,
  targets: [
    { value: 'p99Ratio', text: "times the readers' p99 alone", atMost: 1.2, unit: 'x' },
    {
      value: 'kibPerStalled',
      text: 'resident per stalled connection',
      atMost: UNSENT_KIB_MAX + 4,
      unit: 'KiB',
    },
  ],
  async run(options) {
    const events = PER_SECOND * (options.quick ? 5 : 20);
    const stage = await Stage.open(options);
    try {
      const gateway = await stage.startGateway({
        TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '3600000',
        TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS_MAX),
      });
      const publisher = await stage.startPublisher();
      await publisher.call('publish', { ...EVENTS, events: TAIL_EVENTS_MAX, perSecond: 0 });
      const readers = await stage.startLoad();
      const plan = { ...CLIENTS, ...stage.clientPlan(gateway.port) };
      verify('opening', (await readers.call('open', { ...plan, clients: READERS })).faults);
      /** Publishes, and waits until the readers have received all events. @returns their p99 */
      const pass = async (count: number, perSecond: number): Promise<number> => {
        await readers.call('expect', { events: count });
        await publisher.call('publish', { ...EVENTS, events: count, perSecond });
        const received = await readers.call('received', { timeoutMs: TIMEOUT_MS });
        verify('receiving', received.faults);
        return received.latency.p99Ms;
      };
      // The first events warm up: Node compiles its code before the measurement.
      await pass(events, PER_SECOND);
      const spent = await measure(gateway);
      const aloneP99Ms = await pass(events, PER_SECOND);

      const sleepers = await stage.startLoad();
      verify('opening', (await sleepers.call('open', { ...plan, clients: SLEEPERS })).faults);
      const residentBefore = residentBytes(gateway.pid);
      await sleepers.call('pause', { paused: true });
      const filled = await fill(gateway, () => pass(FILL_EVENTS, 0));
      await readMetrics(gateway.url);
      const stalledP99Ms = await pass(events, PER_SECOND);
      const metrics = await readMetrics(gateway.url);
      const residentGrowth = residentBytes(gateway.pid) - residentBefore;
      const { cpuSeconds, otherCores, load: loadAverage } = await spent();
      const readOnSeconds = await readOn(sleepers, filled + events);
      return {
        p99Ratio: stalledP99Ms / aloneP99Ms,
        aloneP99Ms,
        stalledP99Ms,
        kibPerStalled: residentGrowth / 1024 / SLEEPERS,
        stalledConnections: metrics.get('tidemark_gateway_connections_behind') ?? 0,
        eventsToFill: filled,
        readOnSeconds,
        cpuSeconds,
        loopBlockMaxMs: loopBlockMaxMs(metrics),
        otherCores,
        loadAverage,
      };
    } finally {
      await stage.close();
    }
  },
};

/** Publishes until every sleeper's socket is full. @returns the number of events published */
async function fill(gateway: ServiceProcess, publish: () => Promise<unknown>): Promise<number> {
  for (let fills = 1; fills <= FILLS_MAX; fills++) {
    await publish();
    await sleep(200);
    const metrics = await readMetrics(gateway.url);
    const behind = metrics.get('tidemark_gateway_connections_behind') ?? 0;
    if (behind >= SLEEPERS) return fills * FILL_EVENTS;
  }
  throw new Error(`After ${FILLS_MAX * FILL_EVENTS} events not all sleepers are stalled.`);
}

/** Lets the sleepers read on until they are current. No event may be missing. @returns the time */
async function readOn(sleepers: Worker<LoadCommands>, events: number): Promise<number> {
  await sleepers.call('expect', { events, sinceOpen: true });
  await sleepers.call('pause', { paused: false });
  const { faults, firstExpectedUs, lastUs } = await sleepers.call('received', {
    timeoutMs: TIMEOUT_MS,
  });
  verify('reading on', faults);
  return (lastUs - firstExpectedUs) / 1e6;
}
