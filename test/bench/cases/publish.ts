import { INGEST_API } from '@tidemark/config';
import { NATS_PASSWORD } from '../../support/nats-server.ts';
import type { HttpLoadCommands } from '../publish/http-load.ts';
import type { RawLoadCommands } from '../publish/raw-load.ts';
import { measure, type Spent, Unverified, verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const CONNECTIONS = 64;
const BATCH_EVENTS = 100;
const EVENT_BYTES = 300;
const TOPICS = 10;
const WARM_UP_SECONDS = 2;
const USER = 'tidemark-ingest';

/** As in a deployment: ingest is in an account of its own. */
const INGEST_ACCOUNT = {
  TIDEMARK_NATS_USER: USER,
  TIDEMARK_NATS_PASSWORD: NATS_PASSWORD,
  TIDEMARK_NATS_API_PREFIX: INGEST_API,
};

/** One user has all of the load. */
const ONE_USER_IS_ALL = {
  TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX: '1000000000',
  TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX: '1000000000',
  TIDEMARK_INGEST_BODIES_BYTES_MAX: '1000000000',
};

export const publish: BenchCase = {
  name: 'publish',
  title: `publish over HTTP, ${CONNECTIONS} requests at once, ${EVENT_BYTES}-byte events`,
  sockets: CONNECTIONS,
  method: `A process of its own posts over ${CONNECTIONS} kept connections, each its next request when the last is answered: single events, then batches of ${BATCH_EVENTS}. Ingest uses its own account of NATS, as in a deployment. Then another process publishes events of the same size and headers with \`nats.js\`, through the same account, as many at a time as the batches had. The stream must hold exactly as many messages as were acknowledged. CPU is that of the whole process for each event.`,
  targets: [
    { value: 'singlePerSecond', text: 'single', atLeast: 10_000, unit: 'events/s' },
    { value: 'singleP99Ms', text: 'single p99', atMost: 20, unit: 'ms' },
    {
      value: 'batchPerSecond',
      text: `batches of ${BATCH_EVENTS}`,
      atLeast: 100_000,
      unit: 'events/s',
    },
    { value: 'batchIngestUs', text: 'CPU of ingest', atMost: 12, unit: 'µs per batched event' },
    { value: 'ofRaw', text: 'of raw nats.js', atLeast: 0.5, unit: '' },
  ],
  async run(options) {
    const stage = await Stage.open(options);
    try {
      const ingest = await stage.startIngest(
        { ...INGEST_ACCOUNT, ...ONE_USER_IS_ALL },
        { profiled: true },
      );
      const http = await stage.startWorker<HttpLoadCommands>(workerFile('http-load'));
      const raw = await stage.startWorker<RawLoadCommands>(workerFile('raw-load'));
      const seconds = options.quick ? 4 : 15;
      let expected = await stage.storedMessages();
      const requireStored = async (acknowledged: number) => {
        expected += acknowledged;
        const stored = await stage.storedMessages();
        if (stored === expected) return;
        throw new Unverified(`the stream has ${stored} of ${expected} messages`);
      };
      const post = async (eventsEach: number) => {
        const plan = {
          port: ingest.port,
          token: stage.token,
          connections: CONNECTIONS,
          eventsEach,
          eventBytes: EVENT_BYTES,
          topics: TOPICS,
        };
        const warm = await http.call('load', { ...plan, seconds: WARM_UP_SECONDS });
        verify('warming up', warm.faults);
        const spent = await measure(ingest);
        const report = await http.call('load', { ...plan, seconds });
        const used = await spent();
        verify('publishing', report.faults);
        await requireStored(warm.acknowledged + report.acknowledged);
        return { ...report, used };
      };
      const single = await post(1);
      const batch = await post(BATCH_EVENTS);
      const plan = {
        natsUrl: stage.nats.url,
        user: USER,
        password: NATS_PASSWORD,
        pending: CONNECTIONS * BATCH_EVENTS,
        eventBytes: EVENT_BYTES,
        topics: TOPICS,
      };
      const warm = await raw.call('load', { ...plan, seconds: WARM_UP_SECONDS });
      const spent = await measure(raw);
      const peer = await raw.call('load', { ...plan, seconds });
      const used = await spent();
      await requireStored(warm.acknowledged + peer.acknowledged);
      const batchPerSecond = perSecond(batch);
      return {
        ...named('single', single),
        ...named('batch', batch),
        rawPerSecond: perSecond(peer),
        rawClientUs: perEventUs(used.cpuSeconds, peer),
        rawNatsUs: perEventUs(used.natsSeconds, peer),
        ofRaw: batchPerSecond / perSecond(peer),
        otherCores: Math.max(single.used.otherCores, batch.used.otherCores, used.otherCores),
      };
    } finally {
      await stage.close();
    }
  },
};

interface Report {
  readonly acknowledged: number;
  readonly elapsedMs: number;
}

interface HttpReport extends Report {
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number };
  readonly used: Spent;
}

function named(name: string, report: HttpReport): Record<string, number> {
  return {
    [`${name}PerSecond`]: perSecond(report),
    [`${name}P50Ms`]: report.latency.p50Ms,
    [`${name}P99Ms`]: report.latency.p99Ms,
    [`${name}IngestUs`]: perEventUs(report.used.cpuSeconds, report),
    [`${name}NatsUs`]: perEventUs(report.used.natsSeconds, report),
  };
}

function perSecond({ acknowledged, elapsedMs }: Report): number {
  return (1000 * acknowledged) / elapsedMs;
}

function perEventUs(seconds: number, { acknowledged }: Report): number {
  return (1_000_000 * seconds) / acknowledged;
}

function workerFile(name: string): URL {
  return new URL(`../publish/${name}.ts`, import.meta.url);
}
