import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { INGEST_API } from '@tidemark/config';
import { NatsLink, readStreamState, STREAM_NAME } from '@tidemark/nats';
import { formatCursor } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { NATS_PASSWORD, type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { makeToken, type ServiceName } from '../../support/services.ts';
import type { LoadCommands } from '../load/load.ts';
import type { PublisherCommands } from '../publisher/publisher.ts';
import { type Commands, Worker } from './commands.ts';
import { readMetrics } from './gateway-metrics.ts';
import { ServiceProcess, type ServiceProcessOptions } from './service-process.ts';

/** Limits for load from one address. */
const ONE_ADDRESS = {
  TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX: '1000000',
  TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '1000000',
};

/** Limits for load from one address and one user, which no deployment would allow. */
const ONE_CLIENT_IS_ALL = {
  ...ONE_ADDRESS,
  TIDEMARK_GATEWAY_CONNECTIONS_PER_USER_MAX: '1000000',
  TIDEMARK_GATEWAY_CATCH_UPS_PER_USER_MAX: '1000000',
  TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: '1000000',
  TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX: '1000000000000',
  TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX: '1000000',
  TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '1000000',
  TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX: '1000000000000',
};

/** Ingest in an account of its own, as in a deployment and with `npm start`: that costs NATS more. */
export const INGEST_ACCOUNT = {
  TIDEMARK_NATS_USER: 'tidemark-ingest',
  TIDEMARK_NATS_PASSWORD: NATS_PASSWORD,
  TIDEMARK_NATS_API_PREFIX: INGEST_API,
};

/** A tail with next to nothing, also where the gateway has filled it at its start: older events are read cold. */
export const SHORT_TAIL = { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '1000' };

/** The names of the limits that are raised. */
export const LIMITS_FOR_ONE_CLIENT: readonly string[] = Object.keys(ONE_CLIENT_IS_ALL);

/** One for all runs, because each listens for the end of the process. */
const logger = createLogger('bench', 'error');

const HEAD_TIMEOUT_MS = 60_000;
const HEAD_POLL_MS = 50;
const PROJECTION_TIMEOUT_MS = 180_000;

export type GatewayEnvironment = NonNullable<ServiceProcessOptions['env']>;

export interface StageOptions {
  /** The folder for CPU profiles of the measured service during a measurement. */
  readonly profileFolder?: string | undefined;
  /** The default limits, for users of their own. Otherwise one user may have all of the load. */
  readonly ordinaryLimits?: boolean;
  /** The default limits, for users of their own at one address. */
  readonly oneAddress?: boolean;
}

/** The system under one run of a case: a nats-server with an empty stream, and processes. */
export class Stage {
  readonly nats: NatsServer;
  readonly token: string;
  readonly #link: NatsLink;
  readonly epoch: string;
  readonly #folder: string;
  readonly #removeFolder: () => void;
  readonly #profileFolder: string | undefined;
  readonly #limits: GatewayEnvironment;
  readonly #started: { stop(): Promise<void> }[] = [];

  private constructor(parts: {
    nats: NatsServer;
    link: NatsLink;
    epoch: string;
    token: string;
    folder: string;
    removeFolder: () => void;
    profileFolder: string | undefined;
    limits: GatewayEnvironment;
  }) {
    this.nats = parts.nats;
    this.token = parts.token;
    this.epoch = parts.epoch;
    this.#link = parts.link;
    this.#folder = parts.folder;
    this.#removeFolder = parts.removeFolder;
    this.#profileFolder = parts.profileFolder;
    this.#limits = parts.limits;
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { profileFolder } = options;
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));
    const nats = await startNatsServer({ storeFolder: join(folder, 'nats') });
    // An aborted run removes its gigabytes too. The server has been killed by then.
    const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    process.once('exit', removeFolder);
    await createStream(nats.url, folder);
    const link = await new NatsLink({ servers: nats.url, name: 'bench', logger }).connect();
    const state = await readStreamState(link);
    if (!state) throw new Error('Replay is ready and there is no stream.');
    const { epoch } = state;
    const token = await makeToken('subscribe:> publish:>', 'bench', 24 * 3600);
    const limits = limitsFor(options);
    return new Stage({ nats, link, epoch, token, folder, removeFolder, profileFolder, limits });
  }

  /** The file of the archive, which exists from the start. */
  get archiveFile(): string {
    return databaseIn(this.#folder);
  }

  /** The cursor at a sequence of this stage's stream. */
  cursor(sequence: number): string {
    return formatCursor({ epoch: this.epoch, sequence });
  }

  /** The plan that WebSocket clients of every case share. */
  clientPlan(port: number) {
    const { token, epoch } = this;
    return { transport: 'websocket', host: '127.0.0.1', port, token, epoch } as const;
  }

  /** Waits until the gateway has received the stream up to that sequence. */
  async untilHead(gateway: ServiceProcess, sequence: number): Promise<void> {
    const deadlineMs = Date.now() + HEAD_TIMEOUT_MS;
    for (;;) {
      const metrics = await readMetrics(gateway.url);
      if ((metrics.get('tidemark_gateway_head_sequence') ?? 0) >= sequence) return;
      if (Date.now() > deadlineMs) throw new Error(`The gateway is not at ${sequence}.`);
      await sleep(HEAD_POLL_MS);
    }
  }

  startGateway(env: GatewayEnvironment = {}): Promise<ServiceProcess> {
    return this.#startService('gateway', env, this.#profileFolder);
  }

  /** @param profiled whether it is what the case measures */
  startReplay({ profiled = false } = {}): Promise<ServiceProcess> {
    const env = { TIDEMARK_REPLAY_DATABASE: this.archiveFile };
    return this.#startService('replay', env, profiled ? this.#profileFolder : undefined);
  }

  /** Waits until the archive has the stream up to that sequence, as in a system at rest. */
  async untilProjected(replay: ServiceProcess, sequence: number): Promise<void> {
    const deadlineMs = Date.now() + PROJECTION_TIMEOUT_MS;
    while (((await readMetrics(replay.url)).get('tidemark_projection_position') ?? 0) < sequence) {
      if (Date.now() > deadlineMs) throw new Error(`Replay is not at ${sequence}.`);
      await sleep(HEAD_POLL_MS);
    }
  }

  /** @param options whether it is what the case measures */
  startIngest(env: GatewayEnvironment = {}, { profiled = false } = {}): Promise<ServiceProcess> {
    return this.#startService('ingest', env, profiled ? this.#profileFolder : undefined);
  }

  /** The messages that the stream holds. */
  async storedMessages(): Promise<number> {
    const { streams } = await jetstreamManager(this.#link.connection);
    return (await streams.info(STREAM_NAME)).state.messages;
  }

  startLoad(): Promise<Worker<LoadCommands>> {
    return this.startWorker(new URL('../load/load.ts', import.meta.url));
  }

  async startPublisher(): Promise<Worker<PublisherCommands>> {
    const file = new URL('../publisher/publisher.ts', import.meta.url);
    const publisher = await this.startWorker<PublisherCommands>(file);
    await publisher.call('connect', { natsUrl: this.nats.url });
    return publisher;
  }

  async startWorker<C extends Commands>(file: URL): Promise<Worker<C>> {
    const worker = await Worker.start<C>(file);
    this.#started.push(worker);
    return worker;
  }

  async close(): Promise<void> {
    for (const part of this.#started.reverse()) await part.stop();
    await this.#link.close();
    await this.nats.stop();
    process.off('exit', this.#removeFolder);
    this.#removeFolder();
  }

  async #startService(
    name: ServiceName,
    env: GatewayEnvironment = {},
    profileFolder?: string,
  ): Promise<ServiceProcess> {
    const service = await ServiceProcess.start({
      name,
      natsUrl: this.nats.url,
      folder: this.#folder,
      // A gateway that ends has no clients that need time.
      env: { TIDEMARK_GATEWAY_DRAIN_MS: '0', ...this.#limits, ...env },
      profileFolder,
    });
    this.#started.push(service);
    return service;
  }
}

function limitsFor({ ordinaryLimits = false, oneAddress = false }: StageOptions) {
  if (oneAddress) return ONE_ADDRESS;
  return ordinaryLimits ? {} : ONE_CLIENT_IS_ALL;
}

function databaseIn(folder: string): string {
  return join(folder, 'archive.db');
}

/** Starts replay to create the stream, and stops it again, because it is not measured. */
async function createStream(natsUrl: string, folder: string): Promise<void> {
  const env = { TIDEMARK_REPLAY_DATABASE: databaseIn(folder) };
  const replay = await ServiceProcess.start({ name: 'replay', natsUrl, folder, env });
  await replay.stop();
}
