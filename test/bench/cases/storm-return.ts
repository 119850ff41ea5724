import { makeToken } from '../../support/services.ts';
import { readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { familyCpuMs } from '../system/process-figures.ts';
import { type GatewayEnvironment, SHORT_TAIL, Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';

const CLIENTS = 2000;
const TOPICS_EACH = 2;
const MISSED = 100;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 40_000;

interface Storm {
  readonly clients: number;
  /** Events that each missed; `MISSED` if absent. */
  readonly missed?: number;
  /** Whether each topic is a subscription of its own. Then only the number of events is checked, and not their order. */
  readonly apart?: boolean;
  readonly gateway?: GatewayEnvironment;
  /** Whether the gateway starts again before the clients return. */
  readonly restarts?: boolean;
  readonly withReplay?: boolean;
}

const METHOD = `each with a token and ${TOPICS_EACH} topics of its own, connect and are cut. ${MISSED} events of ${EVENT_BYTES} bytes follow for each, and all return with their cursors. All limits are the default ones, apart from those of one address. The time is from the first connect to the last \`live\`, handshakes included.`;

export const stormDefault: BenchCase = {
  name: 'storm-default',
  title: 'storm: 2,000 clients return, 100 missed events each, default settings, without replay',
  sockets: CLIENTS,
  method: `${CLIENTS} clients, ${METHOD}`,
  targets: [{ value: 'totalSeconds', text: 'all live', atMost: 1, unit: 's' }],
  run: (options) => runStorm(options, { clients: CLIENTS }),
};

export const stormLarge: BenchCase = {
  name: 'storm-large',
  title: 'the same, 5,000 clients, 80 missed events each',
  sockets: 5000,
  method: `5,000 clients, ${METHOD} They missed 80 events each, so that the tail has room for all.`,
  targets: [{ value: 'totalSeconds', text: 'all live', atMost: 2, unit: 's' }],
  run: (options) => runStorm(options, { clients: 5000, missed: 80 }),
};

export const stormRestart: BenchCase = {
  name: 'storm-restart',
  title: 'the same as storm-default, and the gateway has started again',
  sockets: CLIENTS,
  method: `${CLIENTS} clients, ${METHOD} The gateway starts again before that.`,
  targets: [{ value: 'totalSeconds', text: 'all live', atMost: 1, unit: 's' }],
  run: (options) => runStorm(options, { clients: CLIENTS, restarts: true }),
};

export const stormScan: BenchCase = {
  name: 'storm-scan',
  title: 'the same, events older than the tail, without replay',
  sockets: 5000,
  method: `5,000 clients, ${METHOD} The tail has room for 1,000 events, and no replay service runs.`,
  targets: [{ value: 'totalSeconds', text: 'all live', atMost: 10, unit: 's' }],
  run: (options) => runStorm(options, { clients: 5000, gateway: SHORT_TAIL }),
};

export const stormArchive: BenchCase = {
  name: 'storm-archive',
  title: 'the same, with replay',
  sockets: 5000,
  method: `5,000 clients, ${METHOD} The tail has room for 1,000 events; a replay service has all of them.`,
  targets: [{ value: 'totalSeconds', text: 'all live', atMost: 4, unit: 's' }],
  run: (options) => runStorm(options, { clients: 5000, gateway: SHORT_TAIL, withReplay: true }),
};

async function runStorm(options: RunOptions, storm: Storm): Promise<Values> {
  const { gateway: env = {}, withReplay = false, restarts = false, apart = false } = storm;
  const { missed = MISSED } = storm;
  const clients = options.quick ? storm.clients / 5 : storm.clients;
  const topics = { prefix: 'storm', audiences: clients, topicsEach: TOPICS_EACH };
  const tokens = await Promise.all(
    Array.from({ length: clients }, (_, index) => makeToken('subscribe:storm.>', `u${index}`)),
  );
  const stage = await Stage.open({ ...options, oneAddress: true });
  try {
    const replay = withReplay ? await stage.startReplay() : undefined;
    let gateway = await stage.startGateway(env);
    const load = await stage.startLoad();
    const plan = () => ({
      ...stage.clientPlan(gateway.port),
      ...{ tokens, apart, clients, topics, timed: false, eventBytes: EVENT_BYTES },
      ...({ check: apart ? 'number' : 'counter', until: 'liveUs', timeoutMs: TIMEOUT_MS } as const),
    });
    const first = await load.call('open', plan());
    verify('connecting', first.faults);
    await load.call('close', {});
    const publisher = await stage.startPublisher();
    const { lastSequence } = await publisher.call('publish', {
      ...{ topics, events: clients * missed, eventBytes: EVENT_BYTES, perSecond: 0 },
    });
    if (replay) await stage.untilProjected(replay, lastSequence);
    await stage.untilHead(gateway, lastSequence);
    if (restarts) {
      await gateway.stop();
      gateway = await stage.startGateway(env);
      await stage.untilHead(gateway, lastSequence);
    }
    const before = await readMetrics(gateway.url);
    const replayBeforeMs = replay ? familyCpuMs(replay.pid) : 0;
    const spent = await measure(gateway);
    const returned = { ...plan(), after: stage.cursor(0), missed };
    const opened = await load.call('open', returned);
    const { cpuSeconds, natsSeconds, otherCores, load: loadAverage } = await spent();
    const replayMs = replay ? familyCpuMs(replay.pid) - replayBeforeMs : 0;
    verify('returning', opened.faults);
    const metrics = await readMetrics(gateway.url);
    const count = (name: string) => (metrics.get(name) ?? 0) - (before.get(name) ?? 0);
    await load.call('close', {});
    return {
      totalSeconds: (opened.lastLiveUs - opened.startedUs) / 1e6,
      handshakeSeconds: (opened.lastOpenedUs - opened.startedUs) / 1e6,
      cpuSeconds,
      natsSeconds,
      ...(replay && { replaySeconds: replayMs / 1000 }),
      scans: count('tidemark_gateway_stream_scans_total'),
      coldReads: count('tidemark_gateway_cold_reads_total'),
      tailEvents: metrics.get('tidemark_gateway_tail_events') ?? Number.NaN,
      tailMiB: (metrics.get('tidemark_gateway_tail_bytes') ?? Number.NaN) / 1024 ** 2,
      otherCores,
      loadAverage,
    };
  } finally {
    await stage.close();
  }
}
