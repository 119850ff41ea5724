import type { connectIn as Connect } from '../../libs/client/dist/client.js';
import type { Environment } from '../../libs/client/dist/environment.js';
import type { CursorStore, Message, Subscription, Tidemark } from '../../libs/client/dist/types.js';
import { Random } from '../simulation/random.ts';
import { VirtualClock } from './clock.ts';
import { FakeGateway, FakeSocket, matches } from './gateway.ts';

/** Consumers that wait, in events: so that few events fill them. */
export const QUEUE_ITEMS = 6;

const PATTERNS = [['>'], ['a.*'], ['b.1'], ['a.1', 'b.*']];
const MOST_QUIET_MS = 10 * 60_000;

/** What a consumer was given, and whether that was right. */
class Reader {
  readonly topics: readonly string[];
  readonly isLast: boolean;
  readonly isSlow: boolean;
  /** The ids of one life of the client, or state by topic. */
  state = new Map<string, string>();
  /** The newest event that was received, of any life. */
  newest = 0;
  /** The newest of this life; `undefined` before the first. */
  before: number | undefined;
  received = 0;

  constructor(topics: readonly string[], isLast: boolean, isSlow: boolean) {
    this.topics = topics;
    this.isLast = isLast;
    this.isSlow = isSlow;
  }

  isFor(topic: string): boolean {
    return this.topics.some((pattern) => matches(pattern, topic));
  }
}

export interface Outcome {
  readonly received: number;
  readonly again: number;
  readonly resets: number;
  readonly paused: number;
}

/** A page with some subscriptions, a gateway, and everything that may go wrong between them. */
export class World {
  readonly #clock = new VirtualClock();
  readonly #random: () => number;
  readonly #gateway: FakeGateway;
  readonly #connect: typeof Connect;
  readonly #readers: Reader[];
  readonly #stored = new Map<string, string>();
  /** Timers of a frozen page run late; those of a page that has crashed never. */
  #life = { isOver: false, thawsAt: 0 };
  #wake: (() => void) | undefined;
  #wallOffset = 0;
  #tokens = 0;
  readonly #opened: FakeSocket[] = [];
  #client: Tidemark | undefined;
  #violation: string | undefined;
  #again = 0;
  #resets = 0;
  #unsubscribes = 0;

  constructor(connect: typeof Connect, seed: number) {
    this.#connect = connect;
    const random = new Random(seed);
    this.#random = () => random.next();
    this.#gateway = new FakeGateway(this.#clock, this.#random);
    this.#readers = PATTERNS.slice(0, 1 + this.#below(PATTERNS.length)).map(
      (topics) => new Reader(topics, this.#random() < 0.25, this.#random() < 0.5),
    );
  }

  /** @throws Error that says what the library did wrong */
  async run(steps: number): Promise<Outcome> {
    this.#start();
    for (let step = 0; step < steps; step++) {
      this.#act();
      this.#gateway.serve();
      await this.#clock.advance(this.#below(400));
      this.#check();
    }
    await this.#quiet();
    const received = this.#readers.reduce((sum, reader) => sum + reader.received, 0);
    this.#client?.close();
    return { received, again: this.#again, resets: this.#resets, paused: this.#unsubscribes };
  }

  /** Nothing fails any more: everybody gets everything. */
  async #quiet(): Promise<void> {
    this.#gateway.isAway = false;
    this.#gateway.subscribeFails = 0;
    for (let ms = 0; ms < MOST_QUIET_MS; ms += 200) {
      this.#gateway.serve();
      await this.#clock.advance(200);
      this.#check();
      if (this.#missing() === undefined && this.#client?.status.state === 'live') return;
    }
    throw new Error(this.#missing() ?? `The status stays ${JSON.stringify(this.#client?.status)}.`);
  }

  #missing(): string | undefined {
    for (const reader of this.#readers) {
      const events = this.#gateway.log.filter(({ topic }) => reader.isFor(topic));
      const newest = events.at(-1)?.id ?? '0';
      if (!reader.isLast && String(reader.newest) !== newest) {
        return `${reader.topics}: has come to ${reader.newest} of ${newest}.`;
      }
      if (!reader.isLast) continue;
      for (const { topic, id } of new Map(events.map((event) => [event.topic, event])).values()) {
        if (reader.state.get(topic) !== id) return `${reader.topics}: ${topic} is not ${id}.`;
      }
    }
    return undefined;
  }

  #check(): void {
    const open = [...this.#gateway.sockets].filter(({ isBlackHole }) => !isBlackHole);
    if (open.length > 1) this.#violation ??= 'There are two connections.';
    if (this.#violation) throw new Error(this.#violation);
  }

  #act(): void {
    const action = this.#random();
    const socket = [...this.#gateway.sockets][0];
    if (action < 0.5) for (let n = this.#below(8); n > 0; n--) this.#gateway.append();
    else if (action < 0.58) socket?.end([1006, 4000, 4001, 4005, 4007][this.#below(5)] ?? 1006);
    else if (action < 0.6 && socket) socket.isBlackHole = true;
    else if (action < 0.64) this.#gateway.isAway = !this.#gateway.isAway;
    else if (action < 0.68) this.#revoke(socket);
    else if (action < 0.72) this.#gateway.subscribeFails = this.#below(3);
    else if (action < 0.76) this.#life.thawsAt = this.#clock.nowMs + this.#below(60_000);
    else if (action < 0.8) this.#wallOffset += (this.#random() - 0.5) * 86_400_000;
    else if (action < 0.84) this.#wake?.();
    else if (action < 0.87) this.#crash();
  }

  /** The token is refused from now on, and the function answers another one. Two in a row would end the client. */
  #revoke(socket: FakeSocket | undefined): void {
    const token = `token-${this.#tokens}`;
    if (socket?.token !== token) return;
    this.#gateway.refused.add(token);
    socket.end(this.#random() < 0.5 ? 4004 : 1006);
  }

  #crash(): void {
    this.#life.isOver = true;
    for (const socket of this.#opened) socket.close();
    this.#opened.length = 0;
    this.#start();
  }

  #start(): void {
    this.#life = { isOver: false, thawsAt: 0 };
    const life = this.#life;
    const client = this.#connect(this.#environment(life), {
      url: 'http://gateway',
      token: async () => {
        if (this.#random() < 0.02) await new Promise(() => undefined);
        await new Promise<void>((resolve) => this.#clock.timer(resolve, this.#below(400)));
        return `token-${++this.#tokens}`;
      },
      store: this.#store(life),
    });
    this.#client = client;
    for (const reader of this.#readers) {
      reader.before = undefined;
      reader.state.clear();
      const { topics, isLast } = reader;
      const options = isLast ? { after: 'last' } : { after: 'earliest', name: topics.join() };
      void this.#read(reader, client.subscribe(topics, options), life).catch((error: unknown) => {
        if (!life.isOver) this.#violation ??= `${topics}: ended: ${String(error)}`;
      });
    }
  }

  async #read(reader: Reader, subscription: Subscription, life: { isOver: boolean }) {
    for await (const message of subscription.messages()) {
      if (life.isOver) return;
      this.#take(reader, message as Message);
      if (reader.isSlow && this.#random() < 0.3) {
        await new Promise<void>((resolve) => this.#clock.timer(resolve, this.#below(500)));
      }
      if (life.isOver) return;
    }
  }

  #take(reader: Reader, message: Message): void {
    if (message.type === 'reset') {
      this.#resets++;
      reader.before = undefined;
      reader.state.clear();
    }
    if (message.type !== 'event') return;
    const { id, topic } = message.event;
    const n = Number(id);
    if (message.cursor !== `log-${id}`) this.#violation ??= `${id}: has ${message.cursor}`;
    const from = reader.before ?? (reader.isLast ? undefined : 0);
    reader.received++;
    if (message.last) {
      if (reader.state.has(topic)) this.#violation ??= `${reader.topics}: ${topic} comes twice.`;
      reader.state.set(topic, id);
      return;
    }
    const known = reader.isLast && reader.before === undefined ? this.#newestOf(reader) : undefined;
    const after = known ?? this.#expectedAfter(reader, from, n);
    if (after !== undefined && n !== this.#nextFor(reader, after)) {
      this.#violation ??= `${reader.topics}: ${n} comes after ${after}.`;
    }
    if (n <= reader.newest) this.#again++;
    reader.newest = Math.max(reader.newest, n);
    reader.before = n;
    reader.state.set(topic, id);
  }

  /** The last events end at the newest of them; what comes behind is next. */
  #newestOf({ state }: Reader): number {
    return Math.max(0, ...[...state.values()].map(Number));
  }

  /** The first event of a life may be one that came before, and never one further on than the next. */
  #expectedAfter(reader: Reader, before: number | undefined, n: number): number | undefined {
    if (reader.before !== undefined) return before;
    return n <= reader.newest ? undefined : reader.newest;
  }

  #nextFor(reader: Reader, after: number): number {
    const { log } = this.#gateway;
    for (let index = after; index < log.length; index++) {
      if (reader.isFor(log[index]?.topic ?? '')) return index + 1;
    }
    return Number.NaN;
  }

  #store(life: { isOver: boolean }): CursorStore {
    return {
      get: async (key) => this.#stored.get(key),
      set: async (key, cursor) => {
        await new Promise<void>((resolve) => this.#clock.timer(resolve, this.#below(100)));
        if (!life.isOver) this.#stored.set(key, cursor);
      },
    };
  }

  #environment(life: { isOver: boolean; thawsAt: number }): Environment {
    const { clock, gateway } = { clock: this.#clock, gateway: this.#gateway };
    const late = (run: () => void): void => {
      if (life.isOver) return;
      if (clock.nowMs < life.thawsAt) clock.timer(() => late(run), life.thawsAt - clock.nowMs);
      else run();
    };
    const socket = (_url: string, protocols: string[]) => {
      const one = new FakeSocket(gateway, (protocols[1] ?? '').slice('bearer.'.length));
      if (life.isOver) one.close();
      this.#opened.push(one);
      const send = one.send.bind(one);
      one.send = (text) => {
        if (text.includes('unsubscribe')) this.#unsubscribes++;
        send(text);
      };
      return one as unknown as WebSocket;
    };
    return {
      now: () => clock.nowMs,
      wall: () => clock.nowMs + this.#wallOffset,
      random: this.#random,
      timer: (run, ms) => {
        let cancelled = false;
        const cancel = clock.timer(() => late(() => cancelled || run()), ms);
        return () => {
          cancelled = true;
          cancel();
        };
      },
      socket,
      fetch: gateway.fetch as typeof fetch,
      onWake: (run) => {
        this.#wake = () => life.isOver || run();
        return () => undefined;
      },
      onLeave: () => () => undefined,
    };
  }

  #below(most: number): number {
    return Math.floor(this.#random() * most);
  }
}
