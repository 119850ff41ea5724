import type { FleetPlan } from '../load/fleet.ts';
import type { ConsumerPeerCommands } from '../peers/consumer-per-client.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import { type GatewayEnvironment, SHORT_TAIL, Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';

const CLIENTS = 5000;
const TOPICS_EACH = 4;
const MISSED = 200;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 240_000;
/** With one consumer per client it takes minutes. After this time the exact end does not matter. */
const PEER_TIMEOUT_MS = 60_000;

/** Room for the million events that the clients miss. */
const TAIL: GatewayEnvironment = {
  TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '2000000',
  TIDEMARK_GATEWAY_TAIL_BYTES_MAX: String(2 * 1024 ** 3),
};

const METHOD = `${CLIENTS} clients, each with ${TOPICS_EACH} topics of its own on which it missed ${MISSED} events of ${EVENT_BYTES} bytes, connect at once and, when the last handshake is answered, subscribe at once with their cursors; the time from that moment to the last client's \`live\`, each having received its ${MISSED} events in order.`;

export const stormTail: BenchCase = {
  name: 'storm-tail',
  title: 'storm: 5,000 clients return at once, 200 missed events each, in the tail',
  sockets: CLIENTS,
  method: `${METHOD} The gateway has followed the stream, so that its tail holds all of it.`,
  targets: [
    { value: 'liveSeconds', text: 'all live after the last handshake', atMost: 2, unit: 's' },
  ],
  run: (options) => runStorm(options, { cold: false }),
};

export const stormCold: BenchCase = {
  name: 'storm-cold',
  title: 'the same, events older than the tail',
  sockets: CLIENTS,
  method: `${METHOD} The gateway started after the events, with a tail of 1,000 events; a replay service has them in its archive. The peer gives each client a JetStream consumer of its own (nats.js ordered consumer, 16 created at once); it is stopped after ${PEER_TIMEOUT_MS / 1000} s, and the ratio then is a lower bound.`,
  targets: [
    { value: 'liveSeconds', text: 'all live after the last handshake', atMost: 5, unit: 's' },
    { value: 'ratio', text: 'times one consumer per client', atLeast: 1, unit: 'x' },
  ],
  async run(options) {
    const { peerSeconds = 0, ...values } = await runStorm(options, { cold: true });
    return { ...values, peerSeconds, ratio: peerSeconds / (values.totalSeconds ?? 0) };
  },
};

async function runStorm(options: RunOptions, { cold }: { cold: boolean }): Promise<Values> {
  const clients = options.quick ? CLIENTS / 5 : CLIENTS;
  const topics = { prefix: 'storm', audiences: clients, topicsEach: TOPICS_EACH };
  const stage = await Stage.open(options);
  try {
    const replay = cold ? await stage.startReplay() : undefined;
    const publisher = await stage.startPublisher();
    const early = cold ? undefined : await stage.startGateway(TAIL);
    const { lastSequence } = await publisher.call('publish', {
      topics,
      events: clients * MISSED,
      eventBytes: EVENT_BYTES,
      perSecond: 0,
    });
    if (replay) await stage.untilProjected(replay, lastSequence);
    const gateway = early ?? (await stage.startGateway(SHORT_TAIL));
    await stage.untilHead(gateway, lastSequence);
    const load = await stage.startLoad();
    const plan = {
      ...stage.clientPlan(gateway.port),
      eventBytes: EVENT_BYTES,
      timed: false,
      check: 'counter',
      clients,
      topics,
      after: stage.cursor(0),
      missed: MISSED,
      together: true,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    } as const;
    await readMetrics(gateway.url);
    const residentBefore = residentBytes(gateway.pid);
    const replaySpent = replay && (await measure(replay));
    const spent = await measure(gateway);
    const opened = await load.call('open', plan);
    const { cpuSeconds, natsSeconds, otherCores, load: loadAverage } = await spent();
    verify('catching up', opened.faults);
    const metrics = await readMetrics(gateway.url);
    const residentGrowth = residentBytes(gateway.pid) - residentBefore;
    await load.call('close', {});
    const peer = cold ? await measurePeer(stage, plan) : {};
    return {
      liveSeconds: (opened.lastLiveUs - opened.lastOpenedUs) / 1e6,
      totalSeconds: (opened.lastLiveUs - opened.startedUs) / 1e6,
      handshakeSeconds: (opened.lastOpenedUs - opened.startedUs) / 1e6,
      cpuSeconds,
      natsSeconds,
      replaySeconds: (await replaySpent?.())?.cpuSeconds ?? 0,
      coldReads: metrics.get('tidemark_gateway_cold_reads_total') ?? Number.NaN,
      residentGrowthMiB: residentGrowth / 1024 ** 2,
      loopBlockMaxMs: loopBlockMaxMs(metrics),
      ...peer,
      otherCores,
      loadAverage,
    };
  } finally {
    await stage.close();
  }
}

/** Stops at a time limit. The ratio is then a lower bound, and `peerLive` counts the live clients. */
async function measurePeer(stage: Stage, plan: FleetPlan): Promise<Values> {
  const file = new URL('../peers/consumer-per-client.ts', import.meta.url);
  const server = await stage.startWorker<ConsumerPeerCommands>(file);
  const { port } = await server.call('listen', { natsUrl: stage.nats.url, epoch: stage.epoch });
  const load = await stage.startLoad();
  const opened = await load.call('open', {
    ...plan,
    port,
    timeoutMs: PEER_TIMEOUT_MS,
    mayTimeOut: true,
  });
  verify('catching up with one consumer per client', opened.faults);
  const { live, startedUs, lastLiveUs } = opened;
  const seconds = (lastLiveUs - startedUs) / 1e6;
  return { peerSeconds: live < plan.clients ? PEER_TIMEOUT_MS / 1000 : seconds, peerLive: live };
}
