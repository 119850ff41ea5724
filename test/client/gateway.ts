import type { VirtualClock } from './clock.ts';

export const HEARTBEAT_MS = 1000;
export const TOPICS = ['a.1', 'a.2', 'b.1', 'b.2'];

export interface Stored {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
}

interface FetchOptions {
  readonly headers?: unknown;
  readonly signal?: AbortSignal | null;
}

interface Subscription {
  readonly id: string;
  readonly topics: readonly string[];
  position: number;
  /** Last events that have not been sent; events of the connection wait for them. */
  last: { readonly sequence: number; readonly event: Stored }[];
  live: boolean;
}

export const cursorOf = (sequence: number) => `log-${sequence}`;
const sequenceOf = (cursor: string) => Number(cursor.slice(4));

export function matches(pattern: string, topic: string): boolean {
  return (
    pattern === '>' ||
    pattern === topic ||
    (pattern.endsWith('.*') && topic.startsWith(pattern.slice(0, 2)))
  );
}

/** What the library sees of a gateway: PROTOCOL.md sections 4 and 6, with faults that the test chooses. */
export class FakeGateway {
  readonly log: Stored[] = [];
  readonly sockets = new Set<FakeSocket>();
  readonly clock: VirtualClock;
  readonly random: () => number;
  /** Nothing gets through. */
  isAway = false;
  /** WebSocket does not get through. */
  refused = new Set<string>();
  subscribeFails = 0;

  constructor(clock: VirtualClock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  append(): void {
    const topic = TOPICS[Math.floor(this.random() * TOPICS.length)] ?? '';
    this.log.push({ id: String(this.log.length + 1), topic, type: 'said' });
  }

  /** One round: each connection is sent some of what it waits for. */
  serve(): void {
    for (const socket of this.sockets) socket.serve();
  }

  /** `GET /v1/head`: the only request that the library makes by itself. */
  readonly fetch = async (_url: unknown, options?: FetchOptions): Promise<Response> => {
    if (this.isAway && this.random() < 0.3) await swallowed(options?.signal);
    await new Promise<void>((resolve) => this.clock.timer(resolve, this.random() * 200));
    if (this.isAway) throw new TypeError('away');
    const { authorization = '' } = (options?.headers ?? {}) as { authorization?: string };
    if (this.refused.has(authorization.slice('Bearer '.length))) {
      const body = { code: 'unauthenticated', message: 'no', retryable: false };
      return new Response(JSON.stringify(body), { status: 401 });
    }
    return new Response(JSON.stringify({ cursor: cursorOf(this.log.length) }));
  };
}

type Handler = ((event: never) => void) | null;

/** One WebSocket with its server behind it. Messages take their time, and keep their order. */
export class FakeSocket {
  readyState = 0;
  onmessage: Handler = null;
  onclose: Handler = null;
  onerror: Handler = null;
  /** Neither side hears from the other any more, and nobody is told. */
  isBlackHole = false;
  readonly #gateway: FakeGateway;
  readonly token: string;
  readonly #subscriptions = new Map<string, Subscription>();
  #heartbeatAt = 0;
  #toClient: object[] = [];
  #toServer: string[] = [];

  constructor(gateway: FakeGateway, token: string) {
    this.#gateway = gateway;
    this.token = token;
    gateway.clock.timer(() => this.#accept(), gateway.random() * 300);
  }

  send(text: string): void {
    this.#toServer.push(text);
    this.#gateway.clock.timer(() => {
      const message = this.#toServer.shift();
      if (message && this.readyState === 1 && !this.isBlackHole) this.#receive(JSON.parse(message));
    }, this.#latency());
  }

  close(): void {
    this.readyState = 3;
    this.#gateway.sockets.delete(this);
  }

  /** The connection ends, and the client is told. */
  end(code: number): void {
    if (this.readyState === 3 || this.isBlackHole) return;
    this.close();
    (this.onclose as ((event: object) => void) | null)?.({ code, reason: '' });
  }

  serve(): void {
    if (this.readyState !== 1 || this.isBlackHole) return;
    const { clock, random, log } = this.#gateway;
    for (let n = Math.floor(random() * 12); n > 0; n--) this.#step(log);
    if (clock.nowMs < this.#heartbeatAt) return;
    const all = [...this.#subscriptions.values()];
    const isWithinLast = all.some(({ last }) => last.length > 0);
    const position = Math.min(...all.map((one) => one.position));
    const hasCursor = all.length > 0 && !isWithinLast;
    this.#say({ type: 'heartbeat', ...(hasCursor && { cursor: cursorOf(position) }) });
  }

  #step(log: readonly Stored[]): void {
    const all = [...this.#subscriptions.values()];
    for (const one of all) {
      const next = one.last.shift();
      if (!next) continue;
      this.#say({ type: 'last', id: one.id, cursor: cursorOf(next.sequence), event: next.event });
      return;
    }
    const sequence = Math.min(...all.map(({ position }) => position)) + 1;
    const event = log[sequence - 1];
    if (event) {
      const behind = all.filter(({ position }) => position < sequence);
      for (const one of behind) one.position = sequence;
      if (behind.some(({ topics }) => topics.some((pattern) => matches(pattern, event.topic)))) {
        this.#say({ type: 'event', cursor: cursorOf(sequence), event });
      }
    }
    for (const one of all) {
      if (one.live || one.position < log.length) continue;
      one.live = true;
      this.#say({ type: 'live', id: one.id, cursor: cursorOf(one.position) });
    }
  }

  #receive(message: { type: string; id: string; topics: string[]; after: string }): void {
    if (message.type === 'ping') this.#say({ type: 'pong' });
    if (message.type === 'authenticate') this.#say({ type: 'authenticated' });
    if (message.type === 'unsubscribe') {
      this.#subscriptions.delete(message.id);
      this.#say({ type: 'unsubscribed', id: message.id });
    }
    if (message.type === 'subscribe') this.#subscribe(message);
  }

  #subscribe({ id, topics, after }: { id: string; topics: string[]; after: string }): void {
    if (this.#gateway.subscribeFails > 0) {
      this.#gateway.subscribeFails--;
      this.#say({ type: 'error', id, code: 'unavailable', message: 'later', retryable: true });
      return;
    }
    const { log } = this.#gateway;
    const position = after === 'earliest' ? 0 : after === 'last' ? log.length : sequenceOf(after);
    const last = after === 'last' ? newest(log, topics) : [];
    this.#subscriptions.set(id, { id, topics, position, last, live: false });
    this.#say({ type: 'subscribed', id, cursor: cursorOf(position) });
  }

  #accept(): void {
    const { isAway, refused, sockets } = this.#gateway;
    if (this.readyState === 3) return;
    if (isAway || refused.has(this.token)) {
      this.end(1006);
      return;
    }
    this.readyState = 1;
    sockets.add(this);
    this.#say({ type: 'welcome', heartbeatMs: HEARTBEAT_MS });
  }

  #say(message: object): void {
    this.#heartbeatAt = this.#gateway.clock.nowMs + HEARTBEAT_MS;
    this.#toClient.push(message);
    this.#gateway.clock.timer(() => this.#hear(), this.#latency());
  }

  #hear(): void {
    const message = this.#toClient.shift();
    if (!message || this.readyState !== 1 || this.isBlackHole) return;
    (this.onmessage as ((event: object) => void) | null)?.({ data: JSON.stringify(message) });
  }

  #latency(): number {
    return this.#gateway.random() * 50;
  }
}

/** A request that the network has swallowed ends when its sender gives up. */
function swallowed(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });
}

function newest(log: readonly Stored[], topics: readonly string[]) {
  const found = new Map<string, { sequence: number; event: Stored }>();
  for (const [index, event] of log.entries()) {
    if (topics.some((pattern) => matches(pattern, event.topic))) {
      found.set(event.topic, { sequence: index + 1, event });
    }
  }
  return [...found.values()].sort((one, other) => one.sequence - other.sequence);
}
