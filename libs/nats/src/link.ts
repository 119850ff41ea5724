import { readFileSync } from 'node:fs';
import {
  connect,
  createInbox,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  PermissionViolationError,
  type Subscription,
  type TlsOptions,
} from '@nats-io/transport-node';
import { ConfigurationError, JETSTREAM_API, type NatsConfiguration } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { KnownEnd } from './known-end.ts';
import { natsFault } from './nats-fault.ts';
import { StreamSeal } from './seal.ts';

/** Pause between two attempts to reach NATS, and a random addition that spreads the clients. */
const RECONNECT_WAIT_MS = 250;
const RECONNECT_JITTER_MS = 250;

/** A server that does not answer two pings counts as unreachable. */
const PING_INTERVAL_MS = 10_000;
const PINGS_OUT_MAX = 2;

const CONNECT_TIMEOUT_MS = 5000;

/** What a nats-server takes by default. */
const PAYLOAD_BYTES = 1024 * 1024;

/** Most subjects that are remembered as refused. */
const REFUSED_MAX = 100;

/** How long a close waits for the server to take what was sent. */
const CLOSE_MS = 2000;

/** Where NATS is, and how a process connects to it. */
export interface LinkOptions {
  /** Server URLs separated by commas. */
  readonly servers: string;
  readonly credentials?: { readonly user: string; readonly pass: string };
  /** PEM file of the authority to trust. It makes TLS mandatory, as `tls://` does. */
  readonly tlsCaFile?: string;
  /** What subjects of the JetStream API begin with; those of an account with streams if absent. */
  readonly apiPrefix?: string;
  /** Whether a NATS is accepted whose JetStream ignores fields that it does not know. */
  readonly lenient?: boolean;
  /** The client's name in NATS. Its inboxes begin with `_INBOX.<name>`. */
  readonly name: string;
  readonly logger: Logger;
}

/** What a subscription does with what NATS delivers. */
export interface Receiver {
  /** Members of one queue share the messages. */
  readonly queue?: string;
  readonly onMessage: (message: Msg) => void;
  /** Called once when NATS ends the subscription, such as for lack of a permission. */
  readonly onEnded: (error: Error) => void;
  /** Called after `onMessage` has thrown, to begin again where that is needed. */
  readonly onFault?: (error: unknown) => void;
}

/** Turns a service's settings into options for `NatsLink`. */
export function toLinkOptions(settings: NatsConfiguration): Omit<LinkOptions, 'name' | 'logger'> {
  const { natsUrl, natsUser, natsPassword, natsTlsCa } = settings;
  return {
    servers: natsUrl,
    apiPrefix: settings.natsApiPrefix,
    lenient: settings.natsLenient === 'allow',
    ...(natsUser !== '' && { credentials: { user: natsUser, pass: natsPassword } }),
    ...(natsTlsCa !== '' && { tlsCaFile: natsTlsCa }),
  };
}

/**
 * The connection of a process to NATS. It exists before NATS is reached, so that everything that uses it
 * can be built first.
 *
 *     unreached --connect()--> connected <--> away --close()--> closed
 */
export class NatsLink {
  readonly #options: LinkOptions;
  readonly #tls: TlsOptions | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #refusalListeners = new Set<(subject: string, error: Error) => void>();
  /** How far the events stream is known to reach, over all servers that have answered. */
  readonly knownEnd = new KnownEnd();
  /** Tells the messages of the events stream that services have written from those of others. */
  readonly seal = new StreamSeal();
  #connection: NatsConnection | undefined;
  #connected = false;
  #faults = 0;
  /** What NATS has refused to take since the last connection. */
  readonly #refused = new Set<string>();

  /** @throws ConfigurationError when the authority's file cannot be read */
  constructor(options: LinkOptions) {
    this.#options = options;
    this.#tls = tlsOptions(options);
  }

  /** Whether NATS can be reached now; `false` before the first connection. */
  get connected(): boolean {
    return this.#connected;
  }

  /** How often the process threw while it processed what NATS delivered. */
  get faults(): number {
    return this.#faults;
  }

  /**
   * The connection of the NATS client.
   *
   * @throws TidemarkError `unavailable` before the first connection
   */
  get connection(): NatsConnection {
    if (this.#connection) return this.#connection;
    throw new TidemarkError('unavailable', 'NATS has not been reached yet.', {
      retryAfterSeconds: 1,
    });
  }

  /**
   * Connects, and retries until NATS is reached and is one that Tidemark supports, so that
   * services may start in any order. The log says why it waits. Later the connection restores itself.
   *
   * @returns this
   * @throws the signal's reason once it is aborted
   */
  async connect(signal?: AbortSignal): Promise<this> {
    const { logger, credentials } = this.#options;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        this.#connection = await this.#connectOnce();
        break;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (attempt === 1 || attempt % 20 === 0)
          logger.warn({ reason, attempt }, 'waiting for NATS');
        await pause(RECONNECT_WAIT_MS + Math.random() * RECONNECT_JITTER_MS, signal);
      }
    }
    const user = credentials?.user ?? 'none';
    logger.info({ server: this.#connection.getServer(), user }, 'connected to NATS');
    void this.#followStatus(this.#connection);
    this.#noteConnected();
    return this;
  }

  /** The subject of an operation of the JetStream API, such as `STREAM.INFO.<stream>`. */
  apiSubject(operation: string): string {
    return `${this.apiPrefix}.${operation}`;
  }

  /** What the subjects of the JetStream API begin with. */
  get apiPrefix(): string {
    return this.#options.apiPrefix ?? JETSTREAM_API;
  }

  /** Most bytes of a message, as the server says; those that it takes by default before it has said so. */
  get payloadBytesMax(): number {
    return this.#connection?.info?.max_payload ?? PAYLOAD_BYTES;
  }

  /**
   * Whether NATS has not refused messages to a subject since the last connection. For what is sent again and again: the
   * log has one line for each that is refused.
   */
  mayPublish(subject: string): boolean {
    return this.#connected && !this.#refused.has(subject);
  }

  /** A subject that only this process may read, where NATS has permissions. */
  createInbox(): string {
    return createInbox(inboxPrefix(this.#options.name));
  }

  /**
   * Subscribes. The NATS client swallows what a callback throws, together with other messages that arrived
   * at the same time. Here it is logged and counted, and `onFault` learns of it.
   *
   * @throws TidemarkError `unavailable` before the first connection
   */
  subscribe(subject: string, receiver: Receiver): Subscription {
    const { queue, onMessage, onEnded, onFault } = receiver;
    return this.connection.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (ended, message) => {
        this.#guard(subject, () => (ended ? onEnded(ended) : onMessage(message)), onFault);
      },
    });
  }

  /**
   * Calls the listener after the first connection and after each reconnection.
   *
   * @returns removes the listener
   */
  onConnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls the listener when NATS refuses to take a message to a subject, for lack of a permission. */
  onPublishRefused(listener: (subject: string, error: Error) => void): void {
    this.#refusalListeners.add(listener);
  }

  /** Sends buffered messages, then closes. */
  async close(): Promise<void> {
    const connection = this.#connection;
    if (!connection || connection.isClosed()) return;
    // Draining waits for the server, which may be unreachable, become so, or hang.
    const drained = this.#connected ? connection.drain().catch(() => undefined) : undefined;
    await Promise.race([drained, pause(CLOSE_MS)]);
    await connection.close();
  }

  #guard(subject: string, act: () => void, onFault?: (error: unknown) => void): void {
    try {
      act();
    } catch (error) {
      this.#faults++;
      this.#options.logger.error({ err: error, subject }, 'what NATS delivered was not processed');
      if (onFault) this.#guard(subject, () => onFault(error));
    }
  }

  #connectOptions(): NodeConnectionOptions {
    const { servers, credentials, name } = this.#options;
    return {
      servers: servers.split(',').map((server) => server.trim()),
      name,
      inboxPrefix: inboxPrefix(name),
      ...credentials,
      ...(this.#tls && { tls: this.#tls }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      reconnectJitter: RECONNECT_JITTER_MS,
      reconnectJitterTLS: RECONNECT_JITTER_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: PINGS_OUT_MAX,
      timeout: CONNECT_TIMEOUT_MS,
      ignoreAuthErrorAbort: true,
      // Capturing a stack for each request halves the rate of pipelined appends.
      noAsyncTraces: true,
    };
  }

  /** @throws Error that says so when Tidemark must not use the server */
  async #connectOnce(): Promise<NatsConnection> {
    const connection = await connect(this.#connectOptions());
    if (this.#options.lenient) return connection;
    const fault = await natsFault(connection, this.apiPrefix);
    if (fault === undefined) return connection;
    await connection.close();
    throw new Error(fault);
  }

  async #followStatus(connection: NatsConnection): Promise<void> {
    const { logger } = this.#options;
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false;
        logger.warn('NATS is away');
      } else if (status.type === 'reconnect') {
        logger.info({ server: status.server }, 'NATS is back');
        this.#noteConnected();
      } else if (status.type === 'error') {
        this.#noteRefused(status.error);
        logger.error({ reason: status.error.message }, 'NATS reports an error');
      } else if (status.type === 'close') {
        this.#connected = false;
      }
    }
  }

  #noteRefused(error: Error): void {
    if (!(error instanceof PermissionViolationError) || error.operation !== 'publish') return;
    const { subject } = error;
    if (this.#refused.size < REFUSED_MAX) this.#refused.add(subject);
    for (const listener of this.#refusalListeners) {
      this.#guard('a refusal', () => listener(subject, error));
    }
  }

  #noteConnected(): void {
    this.#connected = true;
    this.#refused.clear();
    for (const listener of this.#listeners) this.#guard('a reconnection', listener);
  }
}

function inboxPrefix(name: string): string {
  return `_INBOX.${name}`;
}

/** @throws ConfigurationError when the authority's file cannot be read */
function tlsOptions({ servers, tlsCaFile }: LinkOptions): TlsOptions | undefined {
  if (tlsCaFile === undefined) return servers.includes('tls://') ? {} : undefined;
  try {
    return { ca: readFileSync(tlsCaFile, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError([`TIDEMARK_NATS_TLS_CA=${tlsCaFile} cannot be read (${code})`]);
  }
}

/**
 * Whether a message was published to a subject. A consumer can be told to deliver there what a stream holds;
 * such a message keeps the subject that the stream has it under.
 */
export function isSentTo({ subject }: Msg, expected: string): boolean {
  return subject === expected;
}

/**
 * Waits.
 *
 * @throws the signal's reason when it is aborted first
 */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
  signal?.throwIfAborted();
}
