import { jetstreamManager } from '@nats-io/jetstream';
import { readReplayConfiguration } from '@tidemark/config';
import {
  Appender,
  NatsLink,
  RetryBudget,
  reconcileStream,
  STREAM_NAME,
  StoreWatch,
} from '@tidemark/nats';
import { toEncoded } from '@tidemark/protocol';
import { pino } from 'pino';
import { startNatsCluster } from '../../support/nats-cluster.ts';
import { startNatsServer } from '../../support/nats-server.ts';
import { until } from '../../support/until.ts';
import { Unverified } from '../system/measurement.ts';
import type { BenchCase } from './bench-case.ts';

const logger = pino({ level: 'silent' });

const IN_FLIGHT = 64;
const TOPICS = 100;
const DATA_BYTES = 300;
const APPEND_TIMEOUT_MS = 10_000;

/** The durabilities that a deployment can choose, each with a stream of its own. */
const DURABILITIES = {
  default: () => startNatsServer(),
  always: () => startNatsServer({ jetStream: 'sync_interval: always' }),
  threeReplicas: () => startNatsCluster(),
} as const;

export const appends: BenchCase = {
  name: 'appends',
  title: `appends of ${DATA_BYTES}-byte events, ${IN_FLIGHT} at a time, by durability`,
  sockets: 10,
  method: `One process appends events of ${DATA_BYTES} bytes of data on ${TOPICS} topics through libs/nats, as ingest does, ${IN_FLIGHT} at a time; each counts when the stream has acknowledged it. Three durabilities one after the other, all servers on this machine: the default (NATS syncs every two minutes), \`sync_interval: always\`, and three replicas with the default. The stream must hold as many messages as were acknowledged.`,
  targets: [],
  async run({ quick }) {
    const values: Record<string, number> = {};
    for (const [name, start] of Object.entries(DURABILITIES)) {
      const nats = await start();
      try {
        const replicas = name === 'threeReplicas' ? 3 : 1;
        const { perSecond, p50Ms, p99Ms } = await measureAppends(nats.url, replicas, quick ? 1 : 5);
        values[`${name}PerSecond`] = perSecond;
        values[`${name}P50Ms`] = p50Ms;
        values[`${name}P99Ms`] = p99Ms;
      } finally {
        await nats.stop();
      }
    }
    return values;
  },
};

async function measureAppends(servers: string, replicas: number, seconds: number) {
  const link = await new NatsLink({ servers, name: 'bench', logger }).connect();
  try {
    const config = readReplayConfiguration({ TIDEMARK_STREAM_REPLICAS: String(replicas) });
    await until(() => reconcileStream(link, config, logger).then(Boolean, () => false));
    // The first ones warm up.
    const warm = await appendFor(link, 500);
    const { latencies, elapsedMs } = await appendFor(link, seconds * 1000);
    const { streams } = await jetstreamManager(link.connection);
    const stored = (await streams.info(STREAM_NAME)).state.messages;
    const expected = warm.latencies.length + latencies.length;
    if (stored !== expected) throw new Unverified(`the stream has ${stored} of ${expected} events`);
    const sorted = latencies.toSorted((left, right) => left - right);
    const at = (part: number) => sorted[Math.floor(part * sorted.length)] ?? Number.NaN;
    const perSecond = (1000 * latencies.length) / elapsedMs;
    return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
  } finally {
    await link.close();
  }
}

let published = 0;

async function appendFor(link: NatsLink, durationMs: number) {
  const { signal } = new AbortController();
  const watch = new StoreWatch({ link, logger, signal });
  const appender = new Appender(link, { pendingMax: IN_FLIGHT, watch });
  const latencies: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const publish = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const sentMs = performance.now();
      await appender.append(toEncoded(nextEvent()), { budget: new RetryBudget(APPEND_TIMEOUT_MS) });
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, publish));
  return { latencies, elapsedMs: performance.now() - startMs };
}

function nextEvent() {
  const n = ++published;
  return {
    specversion: '1.0',
    id: String(n),
    source: '/bench',
    type: 'bench',
    topic: `bench.${n % TOPICS}`,
    data: 'x'.repeat(DATA_BYTES),
  } as const;
}
