import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';
import { LatencyHistogram, type LatencySummary } from '../load/latency-histogram.ts';
import { serveCommands } from '../system/commands.ts';
import { nowUs } from '../wire/clock.ts';
import { OPERATIONS, type Operation, PAST_EVENTS, pastTopic, type Services } from './plan.ts';

/** How often all users together do each thing. */
const PUBLISHES_PER_SECOND = 50;
const SUBSCRIBES_PER_SECOND = 20;
const CATCH_UPS_PER_SECOND = 10;

/** What takes longer than this counts as this. */
const PATIENCE_US = 15_000_000;

interface Options {
  readonly services: Services;
  /** One token for each user. */
  readonly tokens: readonly string[];
  /** The cursor before every event. */
  readonly start: string;
}

export type Report = Readonly<Record<Operation, LatencySummary>>;

/** What a user waits for, and since when. */
interface Awaited {
  readonly operation: 'subscribe' | 'catchUp';
  readonly sinceUs: number;
  events: number;
}

/** One user: a WebSocket with a topic of its own, on which it also publishes. */
class User {
  readonly #socket: WebSocket;
  readonly #awaited = new Map<string, Awaited>();
  readonly #publishedUs = new Map<string, number>();

  constructor(url: string, token: string) {
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, ['tidemark.v1'], {
      headers: { authorization: `Bearer ${token}` },
    });
    this.#socket.on('message', (bytes) => this.#receive(JSON.parse(String(bytes))));
    this.#socket.on('error', (error) => fail(`a user's connection: ${error.message}`));
    this.#socket.on('close', (code) => fail(`a user's connection was closed: ${code}`));
  }

  async open(topic: string): Promise<void> {
    await new Promise((resolve) => this.#socket.once('open', resolve));
    this.#send({ type: 'subscribe', id: 'own', topics: [topic] });
  }

  subscribe(id: string, topic: string, after: string | undefined): void {
    const operation = after === undefined ? 'subscribe' : 'catchUp';
    this.#awaited.set(id, { operation, sinceUs: nowUs(), events: 0 });
    this.#send({ type: 'subscribe', id, topics: [topic], ...(after !== undefined && { after }) });
  }

  published(id: string, us: number): void {
    this.#publishedUs.set(id, us);
  }

  /** Counts what has not come as if it came now. */
  giveUp(): void {
    for (const { operation, sinceUs } of this.#awaited.values()) note(operation, sinceUs);
    for (const us of this.#publishedUs.values()) note('delivery', us);
    this.#awaited.clear();
    this.#publishedUs.clear();
  }

  #receive(message: { type: string; id: string; event?: { id: string; topic: string } }): void {
    const { type, id, event } = message;
    if (event) {
      this.#receiveEvent(event);
      return;
    }
    if (type === 'error') fail(`a user's request: ${JSON.stringify(message)}`);
    const awaited = this.#awaited.get(id);
    if (!awaited || type !== (awaited.operation === 'subscribe' ? 'subscribed' : 'live')) return;
    if (awaited.operation === 'catchUp' && awaited.events < PAST_EVENTS) {
      fail(`${awaited.events} of ${PAST_EVENTS} events came`);
    }
    this.#awaited.delete(id);
    note(awaited.operation, awaited.sinceUs);
    this.#send({ type: 'unsubscribe', id });
  }

  #receiveEvent({ id, topic }: { id: string; topic: string }): void {
    const us = this.#publishedUs.get(id);
    if (us !== undefined) {
      this.#publishedUs.delete(id);
      note('delivery', us);
      return;
    }
    for (const [name, awaited] of this.#awaited) {
      if (awaited.operation === 'catchUp' && name.startsWith(`${topic} `)) awaited.events++;
    }
  }

  #send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }
}

const histograms = Object.fromEntries(
  OPERATIONS.map((operation) => [operation, new LatencyHistogram()]),
) as Record<Operation, LatencyHistogram>;
const faults = new Set<string>();
const users: User[] = [];
const agent = new Agent({ keepAlive: true, noDelay: true });
let options: Options;
let count = 0;

function note(operation: Operation, sinceUs: number): void {
  histograms[operation].add(Math.min(PATIENCE_US, nowUs() - sinceUs));
}

function fail(what: string): void {
  faults.add(what);
}

function publish(): void {
  const index = count % users.length;
  const id = `f${count++}`;
  const us = nowUs();
  users[index]?.published(id, us);
  const body = JSON.stringify({ id, source: '/fair', type: 'fair', topic: ownTopic(index) });
  const headers = {
    authorization: `Bearer ${options.tokens[index]}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  const sent = request(`${options.services.ingest}/v1/events`, { agent, method: 'POST', headers });
  sent.on('response', (response) => {
    response.resume();
    if (response.statusCode !== 201) fail(`a user's publish: ${response.statusCode}`);
    response.once('end', () => note('publish', us));
  });
  sent.on('error', (error) => fail(`a user's publish: ${error.message}`));
  sent.end(body);
}

function subscribe(): void {
  const index = (count * 7) % users.length;
  users[index]?.subscribe(`s${count++}`, `fair.now.${index}`, undefined);
}

function catchUp(): void {
  const index = (count * 11) % users.length;
  const topic = pastTopic(count);
  users[index]?.subscribe(`${topic} ${count++}`, topic, options.start);
}

function ownTopic(index: number): string {
  return `fair.own.${index}`;
}

const commands = {
  async open(given: Options) {
    options = given;
    for (const token of given.tokens) users.push(new User(given.services.gateway, token));
    await Promise.all(users.map((user, index) => user.open(ownTopic(index))));
  },
  /** Works at a fixed rate for some seconds, whether answers come or not. */
  async work({ seconds }: { seconds: number }): Promise<{ report: Report; faults: string[] }> {
    for (const histogram of Object.values(histograms)) histogram.reset();
    faults.clear();
    const timers = [
      setInterval(publish, 1000 / PUBLISHES_PER_SECOND),
      setInterval(subscribe, 1000 / SUBSCRIBES_PER_SECOND),
      setInterval(catchUp, 1000 / CATCH_UPS_PER_SECOND),
    ];
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    for (const timer of timers) clearInterval(timer);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (const user of users) user.giveUp();
    const summaries = OPERATIONS.map((operation) => [operation, histograms[operation].summary()]);
    return { report: Object.fromEntries(summaries) as Report, faults: [...faults] };
  },
};
export type OrdinaryCommands = typeof commands;

serveCommands(commands);
