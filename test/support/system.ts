import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import type { CloudEvent } from '@tidemark/protocol';
import { type Listener, listen, type Transport } from './clients.ts';
import { type NatsServer, type NatsServerOptions, startNatsServer } from './nats-server.ts';
import { type NewEvent, type PublishedEvent, Publisher } from './publisher.ts';
import { makeToken, type Service, type ServiceName, startService } from './services.ts';
import { until } from './until.ts';
import { WebSocketClient, type WebSocketOptions } from './web-socket-client.ts';

export interface SystemOptions {
  readonly gateways?: number;
  readonly nats?: NatsServerOptions;
  /** Further variables of all services. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ListenerChoice {
  readonly topics?: string;
  readonly types?: string;
  readonly after?: string;
  /** Gateways by base URL, in the order in which they are tried; all of them where none is given. */
  readonly urls?: readonly string[];
}

/** Everything that `npm start` starts, as real processes, with the clients that a test opened. */
export interface System {
  readonly nats: NatsServer;
  readonly ingest: Service;
  readonly replay: Service;
  readonly gateways: readonly Service[];
  readonly gateway: Service;
  /** May do everything. */
  readonly token: string;
  readonly publisher: Publisher;
  listen(transport: Transport, choice?: ListenerChoice): Listener;
  /** At the first gateway, or at another by its number. */
  open(options?: WebSocketOptions & { readonly gateway?: number }): WebSocketClient;
  /** A further gateway, with further variables of its own. */
  startGateway(env?: Readonly<Record<string, string>>): Promise<Service>;
  /** A further replay with an archive of its own, with further variables. It may not be ready yet. */
  startReplay(env?: Readonly<Record<string, string>>): Promise<Service>;
  stop(): Promise<void>;
}

/** Without a wait between gateways and tries that a person would not notice and a test does. */
const TEST_ENV = {
  TIDEMARK_GATEWAY_SSE_RETRY_MS: '50',
  TIDEMARK_GATEWAY_DRAIN_MS: '200',
};

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const nats = await startNatsServer(options.nats);
  const shared = { natsUrl: nats.url, env: { ...TEST_ENV, ...options.env } };
  const [replay, ingest, ...gateways] = await Promise.all([
    startService('replay', shared),
    startService('ingest', shared),
    ...Array.from({ length: options.gateways ?? 1 }, () => startService('gateway', shared)),
  ]);
  return assemble({ nats, replay, ingest, gateways }, (name, env) => {
    const waitUntilReady = name !== 'replay';
    return startService(name, { ...shared, env: { ...shared.env, ...env }, waitUntilReady });
  });
}

interface Processes {
  readonly nats: NatsServer;
  readonly replay: Service;
  readonly ingest: Service;
  readonly gateways: Service[];
}

export async function assemble(
  { nats, replay, ingest, gateways }: Processes,
  next: (name: ServiceName, env: Readonly<Record<string, string>>) => Promise<Service>,
): Promise<System> {
  const token = await makeToken('subscribe:> publish:> history:>');
  const replays = [replay];
  const clients: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
  return {
    nats,
    ingest,
    replay,
    gateways,
    token,
    get gateway() {
      return gateways[0] ?? absent('gateway');
    },
    publisher: new Publisher(ingest.url, token),
    listen(transport, { topics = '>', urls = gateways.map(({ url }) => url), ...more } = {}) {
      const listener = listen(transport, { urls, token, topics, ...more });
      clients.push(listener);
      return listener;
    },
    open({ gateway = 0, ...more } = {}) {
      const client = new WebSocketClient(gateways[gateway]?.url ?? '', { token, ...more });
      clients.push(client);
      return client;
    },
    async startGateway(env = {}) {
      const gateway = await next('gateway', env);
      gateways.push(gateway);
      return gateway;
    },
    async startReplay(env = {}) {
      const another = await next('replay', env);
      replays.push(another);
      return another;
    },
    async stop() {
      await Promise.all(clients.map((client) => client.stop?.() ?? client.close?.()));
      await Promise.all([...replays, ingest, ...gateways].map((service) => service.stop()));
      await nats.stop();
    },
  };
}

function absent(what: string): never {
  throw new Error(`There is no ${what}.`);
}

/** The topic's event number `n`, some 300 bytes large. */
export function numbered(topic: string, n: number): NewEvent {
  const text = 'lorem ipsum dolor sit amet '.repeat(6);
  return { id: String(n), source: `/tests/${topic}`, type: topic, data: { n, text } };
}

/** The topic's events from `first` to `last`. */
export function series(topic: string, first: number, last: number): NewEvent[] {
  return range(first, last).map((n) => numbered(topic, n));
}

/** The ids of a series. */
export function ids(first: number, last: number): string[] {
  return range(first, last).map(String);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** The value of a metric such as `gateway_gaps_total`, the sum where it has further labels. */
export async function metric({ url }: Pick<Service, 'url'>, name: string): Promise<number> {
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  const lines = text.split('\n').filter((one) => one.startsWith(`tidemark_${name}{`));
  if (lines.length === 0) {
    throw new Error(`No metric ${name} in ${response.status} ${text.slice(0, 500)}`);
  }
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Runs something with a plain NATS connection, as an outside service would have one. */
export async function withNats<T>(
  url: string,
  use: (connection: NatsConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect({ servers: url });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** Waits until all gateways have everything that is stored: `latest` then begins after it. */
export async function untilHead({ nats, gateways }: Pick<System, 'nats' | 'gateways'>) {
  const { last } = await streamState(nats.url);
  for (const gateway of gateways) {
    await until(async () => (await metric(gateway, 'gateway_head_sequence')) >= last, 'the head');
  }
}

export async function streamState(url: string) {
  return withNats(url, async (connection) => {
    const { state } = await (await jetstreamManager(connection)).streams.info(STREAM_NAME);
    return { first: state.first_seq, last: state.last_seq, messages: state.messages };
  });
}

const PIPELINED_EVENTS = 1000;

/** An old server on a busy machine takes its time. */
const ACK_TIMEOUT_MS = 30_000;

/** Appends events straight to the stream, many at a time: for numbers that HTTP takes too long for. */
export async function appendDirectly(url: string, events: readonly NewEvent[]): Promise<void> {
  await withNats(url, async (connection) => {
    const stream = jetstream(connection);
    for (let start = 0; start < events.length; start += PIPELINED_EVENTS) {
      const slice = events.slice(start, start + PIPELINED_EVENTS).map((event) => {
        const topic = String(event.topic ?? event.type);
        const text = JSON.stringify({ specversion: '1.0', topic, ...event });
        return stream.publish(`tidemark.events.${topic}`, text, { timeout: ACK_TIMEOUT_MS });
      });
      await Promise.all(slice);
    }
  });
}

/** Everything in the stream, in its order. */
export async function streamEvents(url: string): Promise<CloudEvent[]> {
  const { last, messages } = await streamState(url);
  if (messages === 0) return [];
  return withNats(url, async (connection) => {
    const consumer = await jetstream(connection).consumers.get(STREAM_NAME);
    const events: CloudEvent[] = [];
    for await (const message of await consumer.consume()) {
      events.push(message.json<CloudEvent>());
      if (message.seq >= last) break;
    }
    return events;
  });
}

/** Most events at once that the archive takes before retention can overtake it in these tests. */
const ARCHIVED_EVENTS = 200;

/** Stores events no faster than the archive takes them. */
export async function storeArchived(
  { publisher, replay }: Pick<System, 'publisher' | 'replay'>,
  events: readonly NewEvent[],
): Promise<PublishedEvent[]> {
  const stored: PublishedEvent[] = [];
  for (let start = 0; start < events.length; start += ARCHIVED_EVENTS) {
    stored.push(...(await publisher.storeAll(events.slice(start, start + ARCHIVED_EVENTS))));
    const last = sequenceOf(stored.at(-1)?.cursor ?? '');
    await until(async () => (await metric(replay, 'projection_position')) >= last, 'the archive');
  }
  return stored;
}

/** Tests may look into a cursor, clients may not. */
export function epochOf(cursor = ''): string {
  return cursor.slice(0, cursor.lastIndexOf('-'));
}

export function sequenceOf(cursor = ''): number {
  return Number(/-(\d+)$/.exec(cursor)?.[1]);
}

/** What tells events of several series apart. */
export function nameOf({ topic, id }: { readonly topic: string; readonly id: string }): string {
  return `${topic} ${id}`;
}

/** What a listener received, by name. */
export function namesOf({ events }: Listener): string[] {
  return events.map(({ event }) => nameOf(event));
}

/** Stores a topic's events one after the other until it is told to stop. @returns their names */
export async function publishUntil(
  done: () => boolean,
  topic: string,
  publisher: Publisher,
): Promise<string[]> {
  const names: string[] = [];
  for (let n = 1; !done(); n++) names.push(nameOf(await publisher.store(numbered(topic, n))));
  return names;
}
