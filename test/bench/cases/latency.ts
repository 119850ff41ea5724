import type { Transport } from '../load/transports.ts';
import type { BareLoopCommands } from '../peers/bare-loop.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { cpuMs } from '../system/process-figures.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Target, Values } from './bench-case.ts';

const PER_SECOND = 200;
const EVENT_BYTES = 300;
/** What ingest adds to an event of the stage's user. */
const ADDED = ',"publisher":"bench"';
const TIMEOUT_MS = 60_000;
const TOPICS = { prefix: 'latency', audiences: 1, topicsEach: 1 };

/** Events before the measurement. The first requests of a process take ten times as long. */
const WARM_UP_EVENTS = 400;

const WRITES = 'tidemark_gateway_writes_total';

interface Variant {
  readonly name: string;
  readonly transport: Transport;
  readonly clients: number;
  /** In ms. */
  readonly p50: number;
  readonly p99: number;
}

export const latency = latencyCase({
  name: 'latency',
  transport: 'websocket',
  clients: 100,
  p50: 5,
  p99: 15,
});

export const latencyWide = latencyCase({
  name: 'latency-500',
  transport: 'websocket',
  clients: 500,
  p50: 2,
  p99: 8,
});

export const latencyWideSse = latencyCase({
  name: 'latency-500-sse',
  transport: 'sse',
  clients: 500,
  p50: 2,
  p99: 8,
});

function latencyCase(variant: Variant): BenchCase {
  const { name, transport, clients, p50, p99 } = variant;
  const targets: Target[] = [
    { value: 'p50Ms', text: 'p50', atMost: p50, unit: 'ms' },
    { value: 'p99Ms', text: 'p99', atMost: p99, unit: 'ms' },
  ];
  const over = transport === 'sse' ? 'SSE' : 'WebSocket';
  return {
    name,
    title: `latency at ${PER_SECOND} events/s, ${clients} ${over} clients, HTTP post to client`,
    sockets: clients,
    method: `${PER_SECOND} posts a second to ingest, each at its own time whether earlier ones are answered or not; latency from the moment of the request to the read in each of ${clients} ${over} clients, over every delivery, after ${WARM_UP_EVENTS} events that do not count. From the request too: its answer, the time that NATS stamps on the event, its arrival at a bare consumer of the stream, and the first, the median and the last client that has it. The floor is what a process adds that holds bare sockets, writes a frame of the same length to each at the same rate, and does nothing else; its latency begins with the first of those writes.`,
    targets,
    async run(options) {
      return {
        ...(await measureLatency(variant, options)),
        ...(await measureFloor(clients, options)),
      };
    },
  };
}

async function measureLatency(
  { transport, clients }: Variant,
  options: RunOptions,
): Promise<Values> {
  const stage = await Stage.open(options);
  try {
    const gateway = await stage.startGateway();
    const ingest = await stage.startIngest();
    const load = await stage.startLoad();
    const publisher = await stage.startPublisher();
    const opened = await load.call('open', {
      ...stage.clientPlan(gateway.port),
      transport,
      eventBytes: EVENT_BYTES + ADDED.length,
      timed: true,
      check: 'sequence',
      spread: true,
      clients,
      topics: TOPICS,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    const post = async (events: number) => {
      await load.call('expect', { events });
      await readMetrics(gateway.url);
      await publisher.call('watch', {});
      const posted = publisher.call('post', {
        url: ingest.url,
        token: stage.token,
        topics: TOPICS,
        events,
        eventBytes: EVENT_BYTES,
        perSecond: PER_SECOND,
      });
      const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
      const report = { ...(await posted), ...(await publisher.call('watched', {})) };
      verify('receiving', received.faults);
      return { ...received, ...report };
    };
    await post(WARM_UP_EVENTS);
    const before = await readMetrics(gateway.url);
    const spent = await measure(gateway);
    const ingestBeforeMs = cpuMs(ingest.pid);
    const events = PER_SECOND * (options.quick ? 5 : 20);
    const { latency: summary, lateMaxMs, spread, cpuMs: loadMs, ...posted } = await post(events);
    const ingestMs = cpuMs(ingest.pid) - ingestBeforeMs;
    const { cpuSeconds, natsSeconds, otherCores, load: loadAverage } = await spent();
    const after = await readMetrics(gateway.url);
    const writes = (after.get(WRITES) ?? 0) - (before.get(WRITES) ?? 0);
    const { p50Ms, p99Ms, maxMs } = summary;
    const places = { ...posted, ...spread };
    return {
      p50Ms,
      p99Ms,
      maxMs,
      ...percentilesOf(places),
      gatewayCpuMsPerEvent: (cpuSeconds * 1000) / events,
      ingestCpuMsPerEvent: ingestMs / events,
      natsCpuMsPerEvent: (natsSeconds * 1000) / events,
      loadCpuMsPerEvent: loadMs / events,
      // Fewer than there are clients where events that came together share writes.
      writesPerEvent: writes / events,
      lateMaxMs,
      loopBlockMaxMs: loopBlockMaxMs(after),
      otherCores,
      loadAverage,
    };
  } finally {
    await stage.close();
  }
}

/** The part of all this that the writes and the load take, whatever makes the events. */
async function measureFloor(clients: number, options: RunOptions): Promise<Values> {
  const stage = await Stage.open(options);
  try {
    const file = new URL('../peers/bare-loop.ts', import.meta.url);
    const bare = await stage.startWorker<BareLoopCommands>(file);
    const { port } = await bare.call('listen', {});
    const load = await stage.startLoad();
    const opened = await load.call('open', {
      ...stage.clientPlan(port),
      eventBytes: EVENT_BYTES,
      timed: true,
      check: 'counter',
      spread: true,
      clients,
      topics: TOPICS,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening the floor', opened.faults);
    const rounds = PER_SECOND * (options.quick ? 5 : 10);
    await load.call('expect', { events: rounds });
    const spent = await measure({ pid: bare.pid });
    const written = bare.call('writeAtRate', {
      rounds,
      eventBytes: EVENT_BYTES,
      perSecond: PER_SECOND,
    });
    const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
    const { cpuSeconds } = await spent();
    await written;
    verify('receiving the floor', received.faults);
    const { p50Ms, p99Ms } = received.latency;
    const floorCpuMsPerEvent = (cpuSeconds * 1000) / rounds;
    return { floorP50Ms: p50Ms, floorP99Ms: p99Ms, floorCpuMsPerEvent };
  } finally {
    await stage.close();
  }
}

/** In the order in which an event passes them. */
const PLACES = ['stored', 'consumed', 'answered', 'first', 'median', 'last'] as const;

type Place = (typeof PLACES)[number];

function percentilesOf(
  places: Partial<Readonly<Record<Place, { readonly p50Ms: number; readonly p99Ms: number }>>>,
): Values {
  return Object.fromEntries(
    PLACES.flatMap((name) => {
      const { p50Ms = Number.NaN, p99Ms = Number.NaN } = places[name] ?? {};
      return [
        [`${name}P50Ms`, p50Ms],
        [`${name}P99Ms`, p99Ms],
      ];
    }),
  );
}
