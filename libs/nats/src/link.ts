import { readFileSync } from 'node:fs';
import {
  connect,
  createInbox,
  type NatsConnection,
  type TlsOptions,
} from '@nats-io/transport-node';
import { ConfigurationError, type NatsConfiguration } from '@tidemark/config';
import type { Logger } from '@tidemark/telemetry';

/** Pause between two tries to reach NATS, and what is added at random so that not all come at once. */
const RECONNECT_WAIT_MS = 250;
const RECONNECT_JITTER_MS = 250;

/** A silent server is given up after this much: two pings without an answer. */
const PING_INTERVAL_MS = 10_000;
const PINGS_OUT_MAX = 2;

const CONNECT_TIMEOUT_MS = 5000;

export interface LinkOptions {
  /** Server URLs separated by commas. */
  readonly servers: string;
  readonly credentials?: { readonly user: string; readonly pass: string };
  /** PEM file with the authority to trust; TLS is then demanded, as it is by `tls://`. */
  readonly tlsCaFile?: string;
  /** Shown by NATS as the client's name; its inboxes are below `_INBOX.<name>`. */
  readonly name: string;
  readonly log: Logger;
  /** Ends the wait for a server that does not come. */
  readonly signal?: AbortSignal;
}

/** Where NATS is and who we are there, as the settings say. */
export function toLinkOptions(
  settings: NatsConfiguration,
): Pick<LinkOptions, 'servers' | 'credentials' | 'tlsCaFile'> {
  const { natsUrl, natsUser, natsPassword, natsTlsCa } = settings;
  return {
    servers: natsUrl,
    ...(natsUser !== '' && { credentials: { user: natsUser, pass: natsPassword } }),
    ...(natsTlsCa !== '' && { tlsCaFile: natsTlsCa }),
  };
}

/**
 * Connects to NATS, waiting as long as it takes, so that services may start in any order.
 *
 * @throws the signal's reason once it is aborted
 */
export async function connectNats(options: LinkOptions): Promise<NatsLink> {
  const { servers, credentials, name, log, signal } = options;
  const tls = tlsOptions(options);
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const connection = await connect({
        servers: servers.split(',').map((server) => server.trim()),
        name,
        inboxPrefix: inboxPrefix(name),
        ...credentials,
        ...(tls && { tls }),
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
      });
      const user = credentials?.user ?? 'none';
      log.info({ server: connection.getServer(), user }, 'connected to NATS');
      return new NatsLink(connection, { name, log });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (attempt === 1 || attempt % 20 === 0) log.warn({ reason, attempt }, 'waiting for NATS');
      await pause(RECONNECT_WAIT_MS + Math.random() * RECONNECT_JITTER_MS, signal);
    }
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

/** One connection to NATS, which comes back by itself, and whether it is there at the moment. */
export class NatsLink {
  readonly connection: NatsConnection;
  #connected = true;
  readonly #log: Logger;
  readonly #inboxPrefix: string;
  readonly #listeners = new Set<() => void>();

  constructor(connection: NatsConnection, { name, log }: Pick<LinkOptions, 'name' | 'log'>) {
    this.connection = connection;
    this.#inboxPrefix = inboxPrefix(name);
    this.#log = log;
    void this.#follow();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** A subject that only this process may read, where NATS has permissions. */
  createInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /** Calls the listener after each return of the connection. @returns ends that */
  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends what is buffered, then closes. */
  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    // Draining waits for the server, which may be away, or go away meanwhile.
    if (this.#connected) await this.connection.drain().catch(() => this.connection.close());
    else await this.connection.close();
  }

  async #follow(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false;
        this.#log.warn('NATS is away');
      } else if (status.type === 'reconnect') {
        this.#connected = true;
        this.#log.info({ server: status.server }, 'NATS is back');
        for (const listener of this.#listeners) listener();
      } else if (status.type === 'error') {
        this.#log.error({ reason: status.error.message }, 'NATS reports an error');
      } else if (status.type === 'close') {
        this.#connected = false;
      }
    }
  }
}

/** Waits, or throws the signal's reason when it is aborted first. */
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
