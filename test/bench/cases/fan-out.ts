import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Transport } from '../load/transports.ts';
import type { SocketIoCommands } from '../peers/socket-io-server.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { type GatewayEnvironment, Stage } from '../system/stage.ts';
import { topicOf } from '../wire/topics.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';

const CLIENTS = 1000;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 180_000;
const SAMPLED_EVERY = 10;
const WARM_UP_EVENTS = 4000;
const TOPICS = { prefix: 'fan-out', audiences: 1, topicsEach: 1 };

const METHOD = `${CLIENTS} clients live on one topic; a publisher sends ${EVENT_BYTES}-byte events into the stream as fast as NATS takes them; deliveries of the whole run through the gateway's CPU time from the first publish to the last delivery. Socket.IO emits the same payload to one room, one event a turn.`;

export const fanOutWebSocket: BenchCase = {
  name: 'fan-out-ws',
  title: 'fan-out, 1,000 WebSocket clients on one topic, saturated',
  sockets: CLIENTS,
  method: METHOD,
  targets: [
    {
      value: 'deliveriesPerCpuSecond',
      text: 'deliveries per gateway CPU second',
      atLeast: 1_500_000,
      unit: '/s',
    },
    { value: 'ratio', text: 'times Socket.IO 4.8', atLeast: 20, unit: 'x' },
  ],
  async run(options) {
    const gateway = await measureFanOut('websocket', options);
    const peer = await measureSocketIo(options);
    const ratio = (gateway.deliveriesPerCpuSecond ?? 0) / peer;
    return { ...gateway, socketIoPerCpuSecond: peer, ratio };
  },
};

export const fanOutSse: BenchCase = {
  name: 'fan-out-sse',
  title: 'the same over SSE',
  sockets: CLIENTS,
  method: METHOD,
  targets: [
    {
      value: 'deliveriesPerCpuSecond',
      text: 'deliveries per gateway CPU second',
      atLeast: 1_000_000,
      unit: '/s',
    },
  ],
  run: (options) => measureFanOut('sse', options),
};

export const fanOutTraced: BenchCase = {
  name: 'fan-out-traced',
  title: 'the same with tracing, every tenth event sampled',
  sockets: CLIENTS,
  method: `${METHOD} Each event carries a trace context, of which one in ten is sampled; measured without tracing and with it, exporting over OTLP to a collector in another process, which throws the spans away.`,
  targets: [
    {
      value: 'ratio',
      text: 'of the deliveries per CPU second without tracing',
      atLeast: 0.95,
      unit: 'x',
    },
  ],
  async run(options) {
    const collector = createServer((request, response) => {
      request.resume().once('end', () => response.end());
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
    try {
      const off = await measureFanOut('websocket', options, { sampledEvery: SAMPLED_EVERY });
      const on = await measureFanOut('websocket', options, { sampledEvery: SAMPLED_EVERY, env });
      const untraced = off.deliveriesPerCpuSecond ?? 0;
      return { ...on, untraced, ratio: (on.deliveriesPerCpuSecond ?? 0) / untraced };
    } finally {
      collector.close();
      collector.closeAllConnections();
    }
  },
};

interface Variant {
  readonly env?: GatewayEnvironment;
  readonly sampledEvery?: number;
}

/** Measures the fan-out of one gateway. */
async function measureFanOut(
  transport: Transport,
  options: RunOptions,
  { env = {}, sampledEvery }: Variant = {},
): Promise<Values> {
  const events = options.quick ? 5000 : 20_000;
  const stage = await Stage.open(options);
  try {
    const gateway = await stage.startGateway(env);
    const load = await stage.startLoad();
    const publisher = await stage.startPublisher();
    if (sampledEvery !== undefined) {
      // The first thousand spans of a process cost four times what later ones do.
      const plan = { topics: TOPICS, eventBytes: EVENT_BYTES, perSecond: 0, sampledEvery: 1 };
      await publisher.call('publish', { ...plan, events: WARM_UP_EVENTS });
    }
    const opened = await load.call('open', {
      transport,
      host: '127.0.0.1',
      port: gateway.port,
      token: stage.token,
      epoch: stage.epoch,
      eventBytes: EVENT_BYTES,
      timed: false,
      check: 'sequence',
      clients: CLIENTS,
      topics: TOPICS,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening', opened.faults);
    await load.call('expect', { events });
    const before = await readMetrics(gateway.url);
    const spent = await measure(gateway);
    const publish = publisher.call('publish', {
      topics: TOPICS,
      events,
      eventBytes: EVENT_BYTES,
      perSecond: 0,
      ...(sampledEvery !== undefined && { sampledEvery }),
    });
    const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
    const { cpuSeconds, natsSeconds, otherCores, load: loadAverage } = await spent();
    const published = await publish;
    verify('receiving', received.faults);
    const after = await readMetrics(gateway.url);
    const wallSeconds = (received.lastUs - published.startedUs) / 1e6;
    const deliveries = CLIENTS * events;
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    return {
      deliveriesPerCpuSecond: deliveries / cpuSeconds,
      deliveriesPerSecond: deliveries / wallSeconds,
      cpuSeconds,
      cores: cpuSeconds / wallSeconds,
      natsSeconds,
      wallSeconds,
      publishedPerSecond: (events * 1e6) / (published.endedUs - published.startedUs),
      eventsPerWrite: deliveries / grown('tidemark_gateway_writes_total'),
      fellBehind: grown('tidemark_gateway_fell_behind_total'),
      loopBlockMaxMs: loopBlockMaxMs(after),
      loadCpuSeconds: received.cpuMs / 1000,
      otherCores,
      loadAverage,
    };
  } finally {
    await stage.close();
  }
}

/** @returns deliveries per CPU second */
async function measureSocketIo({ quick }: RunOptions): Promise<number> {
  const events = quick ? 100 : 300;
  const stage = await Stage.open({});
  try {
    const file = new URL('../peers/socket-io-server.ts', import.meta.url);
    const server = await stage.startWorker<SocketIoCommands>(file);
    const { port } = await server.call('listen', {});
    const load = await stage.startLoad();
    const opened = await load.call('open', {
      transport: 'socket.io',
      host: '127.0.0.1',
      port,
      token: '',
      epoch: 'socketio',
      eventBytes: EVENT_BYTES,
      timed: false,
      check: 'counter',
      clients: CLIENTS,
      topics: TOPICS,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    verify('opening Socket.IO', opened.faults);
    await load.call('expect', { events });
    const spent = await measure(server);
    const emitted = server.call('emit', {
      topic: topicOf(TOPICS, 0, 0),
      events,
      eventBytes: EVENT_BYTES,
    });
    const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
    const { cpuSeconds } = await spent();
    await emitted;
    verify('receiving from Socket.IO', received.faults);
    return (CLIENTS * events) / cpuSeconds;
  } finally {
    await stage.close();
  }
}
