import { makeToken } from '../../support/services.ts';
import type { PublisherCommands } from '../publisher/publisher.ts';
import type { RawLoadCommands } from '../publisher/raw-load.ts';
import type { RequestReport, TimePlan } from '../publisher/request-load.ts';
import type { Worker } from '../system/commands.ts';
import { measure, type Spent, Unverified } from '../system/measurement.ts';
import type { ServiceProcess } from '../system/service-process.ts';
import { INGEST_ACCOUNT, Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const CONNECTIONS = 64;
const BATCH_EVENTS = 100;
const EVENT_BYTES = 300;
/** Of each connection, so that no two share the order of one. */
const TOPICS_EACH = 10;
/** V8 still compiles for some seconds. */
const WARM_UP_SECONDS = 6;
/** Between the requests of the user beside a flood. */
const BESIDE_PAUSE_MS = 20;

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
  method: `A process of its own posts over ${CONNECTIONS} kept connections, each its next request when the last is answered: single events, then batches of ${BATCH_EVENTS}. The first ${WARM_UP_SECONDS} s of each load do not count. Ingest uses its own account of NATS, as in a deployment. Then another process publishes events of the same size and headers with \`nats.js\`, through the same account, as many at a time as the batches had. At last the batches come again, and beside them another user has one single event on its way at a time, ${BESIDE_PAUSE_MS} ms after the answer to the one before. The stream must hold exactly as many messages as were acknowledged. CPU is that of the whole process for each event.`,
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
    { value: 'besideP99Ms', text: "another user's single event, p99", atMost: 100, unit: 'ms' },
    { value: 'floodMaxMs', text: 'longest answer to a batch', atMost: 2000, unit: 'ms' },
  ],
  async run(options) {
    const stage = await Stage.open(options);
    try {
      const run = await PublishRun.open(stage, options.quick ? 4 : 15);
      const single = await run.post(1);
      const batch = await run.post(BATCH_EVENTS);
      const raw = await run.publishRaw();
      const { flood, beside } = await run.postBesideFlood();
      const others = [single, batch, raw].map(({ used }) => used.otherCores);
      return {
        ...named('single', single),
        ...named('batch', batch),
        rawPerSecond: perSecond(raw),
        rawClientUs: perEventUs(raw.used.cpuSeconds, raw),
        rawNatsUs: perEventUs(raw.used.natsSeconds, raw),
        ofRaw: perSecond(batch) / perSecond(raw),
        besideP50Ms: beside.latency.p50Ms,
        besideP99Ms: beside.latency.p99Ms,
        floodMaxMs: flood.latency.maxMs,
        otherCores: Math.max(...others),
      };
    } finally {
      await stage.close();
    }
  },
};

/** The processes of one run, whose acknowledgements are compared with the stream after each load. */
class PublishRun {
  readonly #stage: Stage;
  readonly #ingest: ServiceProcess;
  readonly #publisher: Worker<PublisherCommands>;
  readonly #other: Worker<PublisherCommands>;
  readonly #raw: Worker<RawLoadCommands>;
  readonly #seconds: number;
  #stored: number;

  private constructor(parts: {
    stage: Stage;
    ingest: ServiceProcess;
    publisher: Worker<PublisherCommands>;
    other: Worker<PublisherCommands>;
    raw: Worker<RawLoadCommands>;
    seconds: number;
    stored: number;
  }) {
    this.#stage = parts.stage;
    this.#ingest = parts.ingest;
    this.#publisher = parts.publisher;
    this.#other = parts.other;
    this.#raw = parts.raw;
    this.#seconds = parts.seconds;
    this.#stored = parts.stored;
  }

  /** @param seconds how long each load lasts */
  static async open(stage: Stage, seconds: number): Promise<PublishRun> {
    const env = { ...INGEST_ACCOUNT, ...ONE_USER_IS_ALL };
    return new PublishRun({
      stage,
      ingest: await stage.startIngest(env, { profiled: true }),
      publisher: await stage.startPublisher(),
      other: await stage.startPublisher(),
      raw: await stage.startWorker<RawLoadCommands>(
        new URL('../publisher/raw-load.ts', import.meta.url),
      ),
      seconds,
      stored: await stage.storedMessages(),
    });
  }

  /** Posts requests of so many events. */
  async post(eventsEach: number): Promise<Measured> {
    const plan = this.#plan(eventsEach);
    const warm = await this.#publisher.call('flood', { ...plan, seconds: WARM_UP_SECONDS });
    const spent = await measure(this.#ingest);
    const report = await this.#publisher.call('flood', plan);
    const used = await spent();
    await this.#requireStored(warm, report);
    return { ...report, used };
  }

  /** The same without ingest. */
  async publishRaw(): Promise<Stored & Used> {
    const plan = {
      natsUrl: this.#stage.nats.url,
      user: INGEST_ACCOUNT.TIDEMARK_NATS_USER,
      password: INGEST_ACCOUNT.TIDEMARK_NATS_PASSWORD,
      pending: CONNECTIONS * BATCH_EVENTS,
      eventBytes: EVENT_BYTES,
      topics: TOPICS_EACH,
      seconds: this.#seconds,
    };
    const warm = await this.#raw.call('load', { ...plan, seconds: WARM_UP_SECONDS });
    const spent = await measure(this.#raw);
    const report = await this.#raw.call('load', plan);
    const used = await spent();
    await this.#requireStored(warm, report);
    return { ...report, used };
  }

  /** Batches of one user, and single events of another. */
  async postBesideFlood(): Promise<{ flood: RequestReport; beside: RequestReport }> {
    const plan = this.#plan(BATCH_EVENTS);
    const token = await makeToken('publish:>', 'other', 24 * 3600);
    const [flood, beside] = await Promise.all([
      this.#publisher.call('flood', plan),
      this.#other.call('flood', {
        ...plan,
        target: { ...plan.target, secret: token },
        topics: { ...plan.topics, prefix: 'beside', audiences: 1 },
        publishers: 1,
        batch: 1,
        pauseMs: BESIDE_PAUSE_MS,
      }),
    ]);
    await this.#requireStored(flood, beside);
    return { flood, beside };
  }

  #plan(batch: number): TimePlan {
    const { port } = this.#ingest;
    return {
      target: { api: 'tidemark', host: '127.0.0.1', port, secret: this.#stage.token },
      topics: { prefix: 'publish', audiences: CONNECTIONS, topicsEach: TOPICS_EACH },
      eventBytes: EVENT_BYTES,
      publishers: CONNECTIONS,
      batch,
      seconds: this.#seconds,
    };
  }

  async #requireStored(...reports: readonly Stored[]): Promise<void> {
    for (const { events } of reports) this.#stored += events;
    const stored = await this.#stage.storedMessages();
    if (stored === this.#stored) return;
    throw new Unverified(`the stream has ${stored} of ${this.#stored} messages`);
  }
}

interface Used {
  readonly used: Spent;
}

/** What was acknowledged between two times. */
type Stored = Pick<RequestReport, 'events' | 'startedUs' | 'endedUs'>;
type Measured = RequestReport & Used;

function named(name: string, report: Measured): Record<string, number> {
  return {
    [`${name}PerSecond`]: perSecond(report),
    [`${name}P50Ms`]: report.latency.p50Ms,
    [`${name}P99Ms`]: report.latency.p99Ms,
    [`${name}IngestUs`]: perEventUs(report.used.cpuSeconds, report),
    [`${name}NatsUs`]: perEventUs(report.used.natsSeconds, report),
    [`${name}ClientUs`]: (1000 * report.cpuMs) / report.events,
  };
}

function perSecond({ events, startedUs, endedUs }: Stored): number {
  return (1e6 * events) / (endedUs - startedUs);
}

function perEventUs(seconds: number, { events }: Stored): number {
  return (1e6 * seconds) / events;
}
