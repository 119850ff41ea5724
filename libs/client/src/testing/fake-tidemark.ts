import { connectIn } from '../client.ts';
import type { Environment } from '../environment.ts';
import { WRITE_EVERY_MS } from '../stored-cursor.ts';
import type { CloudEvent, ConnectOptions, EventMap, NewEvent, Tidemark } from '../types.ts';
import { type Code, type ErrorDetails, Refusal } from './answers.ts';
import { isTopic, Permissions, requireEvent } from './checks.ts';
import { FakeInbox, type FollowRequest, type InboxAnswer, type MarkRequest } from './inbox.ts';
import { FakeLog } from './log.ts';
import { FakeServices } from './services.ts';
import { FakeSocket } from './session.ts';
import { HeldTime, turn } from './time.ts';

/** Turns in a row in which nothing moves, before the client counts as at rest. */
const QUIET_TURNS = 3;
/** Turns after which something moves for ever. */
const TURNS_MAX = 10_000;

/** What `fakeTidemark` takes. */
export interface FakeOptions
  extends Partial<Pick<ConnectOptions, 'token' | 'store' | 'traceparent'>> {
  /** The user of the token, one token of a topic; `tester` if absent. */
  readonly user?: string;
  /** What the token permits, as its claim `scope` says it (PROTOCOL 8.1); everything if absent. */
  readonly scope?: string;
}

/** Which request is to be refused, and with what. */
export interface RefuseOptions extends ErrorDetails {
  /** The next subscription, event to publish, or request of an inbox; the next subscription if absent. */
  readonly next?: 'subscribe' | 'publish' | 'inbox';
  readonly message?: string;
  /** So many of them; 1 if absent. */
  readonly times?: number;
}

/** The user's inbox as another device changes it. */
export interface FakeInboxDriver {
  /** The topic of the inbox, `inbox.{user}`. Events on `user.{user}.>` are its items. */
  readonly topic: string;
  /** @throws TidemarkClientError what the service would answer */
  mark(request: MarkRequest): InboxAnswer;
  /** @throws TidemarkClientError what the service would answer */
  follow(request: FollowRequest): InboxAnswer;
}

/** A client for tests, and what its test does to it. */
export interface FakeTidemark<Events extends EventMap = Record<string, unknown>> {
  /** What the code under test gets in place of `connect(…)`. */
  readonly client: Tidemark<Events>;
  /** What the code under test published and the log stored, in order. */
  readonly published: readonly CloudEvent[];
  readonly inbox: FakeInboxDriver;
  /**
   * Stores an event, as another publisher would: subscriptions get it, now or when they are back. What it may lack is
   * filled in. @returns its cursor
   * @throws TidemarkClientError `invalid_event`, `invalid_topic`
   */
  emit<Type extends keyof Events & string>(event: NewEvent<Type, Events[Type]>): string;
  /** The network is away: the connection is lost, and requests fail, until `reconnect`. */
  disconnect(): void;
  reconnect(): void;
  /**
   * The log loses something (PROTOCOL 5), so that all subscriptions get a gap, now or when they are back. `expired`: so
   * many events are stored, and gone before anybody has received them. `future`: so many events at its end are lost.
   * `epoch`: another log takes its place, which is empty. `count` is 1 if absent.
   * @throws RangeError where the log has fewer events
   */
  gap(reason: 'expired' | 'epoch' | 'future', count?: number): void;
  /** The next request of that kind is refused with this code of PROTOCOL 9.1. */
  refuse(code: Code, options?: RefuseOptions): void;
  /** The token has expired: the connection ends, and the client asks for a new one. */
  expireToken(): void;
  /** The token is revoked: the client stops, until `authenticate` of the client. */
  revokeToken(): void;
  /**
   * Everything that was emitted has been handled by the consumers that wait for it, requests are answered, and cursors
   * stored. A handler that waits for more than promises, such as for a timer, is not waited for.
   * @throws Error where the client does not come to rest
   */
  settled(): Promise<void>;
}

/**
 * A client without a network: the library itself over a log in memory, so that subscriptions, cursors, snapshots,
 * `join` and `publish` are those of production. It needs no timers, and does the same in each run.
 *
 * ```ts
 * const fake = fakeTidemark<{ 'order.paid': { total: number } }>();
 * const totals = watchTotals(fake.client); // the code under test
 * fake.emit({ type: 'order.paid', topic: 'orders.42', data: { total: 10 } });
 * await fake.settled();
 * expect(totals.get('orders.42')).toBe(10);
 * ```
 */
export function fakeTidemark<Events extends EventMap = Record<string, unknown>>(
  options: FakeOptions = {},
): FakeTidemark<Events> {
  return new Fake<Events>(options);
}

class Fake<Events extends EventMap> implements FakeTidemark<Events> {
  readonly client: Tidemark<Events>;
  readonly published: CloudEvent[] = [];
  readonly inbox: FakeInboxDriver;
  readonly #log = new FakeLog();
  readonly #time = new HeldTime();
  readonly #permissions: Permissions;
  readonly #services: FakeServices;
  readonly #sockets = new Set<FakeSocket>();
  readonly #refusals: { readonly next: string; readonly refusal: Refusal }[] = [];
  readonly #wakes = new Set<() => void>();
  /** Why tokens are refused, until the token function has been asked again. */
  #refused: Refusal | undefined;
  #isAway = false;
  #tokens = 0;

  constructor({ user = 'tester', scope = '', token, ...options }: FakeOptions) {
    if (!isTopic(user) || user.includes('.'))
      throw new TypeError(`${user} is no token of a topic.`);
    this.#permissions = new Permissions(scope || 'subscribe:> publish:> history:> inbox:>');
    const append = (event: Record<string, unknown>) => this.#append(event);
    const [log, permissions] = [this.#log, this.#permissions];
    const inbox = new FakeInbox({ user, log, permissions, append });
    const refuse = (next: string) => this.#refuseNext(next);
    const { published } = this;
    this.#services = new FakeServices({ log, permissions, user, append, published, inbox, refuse });
    this.inbox = {
      topic: inbox.topic,
      mark: (request) => asClient(() => inbox.mark(request)),
      follow: (request) => asClient(() => inbox.follow(request)),
    };
    this.client = connectIn<Events>(this.#environment(), {
      ...options,
      url: 'http://fake',
      token: () => this.#ask(token),
    });
  }

  emit<Type extends keyof Events & string>(event: NewEvent<Type, Events[Type]>): string {
    const topic = asClient(() => requireEvent(event));
    return this.#append({ source: '/fake', time: new Date().toISOString(), ...event, topic });
  }

  disconnect(): void {
    this.#isAway = true;
    this.#time.isHeld = true;
    this.#end(1006);
  }

  reconnect(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#time.isHeld = false;
    for (const wake of this.#wakes) wake();
    this.#time.release();
  }

  gap(reason: 'expired' | 'epoch' | 'future', count = 1): void {
    if (reason === 'expired') this.#log.expire(count);
    else if (reason === 'future') this.#log.loseEnd(count);
    else this.#log.replace();
    this.#follow();
  }

  refuse(
    code: Code,
    { next = 'subscribe', times = 1, message, ...details }: RefuseOptions = {},
  ): void {
    const refusal = new Refusal(code, message ?? `Refused with ${code}.`, details);
    for (let n = 0; n < times; n++) this.#refusals.push({ next, refusal });
  }

  expireToken(): void {
    this.#refused = new Refusal('token_expired', 'The token has expired.');
    this.#time.release();
    this.#end(4004);
  }

  revokeToken(): void {
    this.#refused = new Refusal('unauthenticated', 'The token is revoked.');
    this.#end(4501);
  }

  async settled(): Promise<void> {
    this.#time.release();
    let quiet = 0;
    for (let turns = 0; quiet < QUIET_TURNS; turns++) {
      if (turns > TURNS_MAX) throw new Error('The client does not come to rest.');
      const { moves } = this.#time;
      await turn();
      this.#time.pass(WRITE_EVERY_MS);
      quiet = moves === this.#time.moves ? quiet + 1 : 0;
    }
  }

  #append(event: Record<string, unknown>): string {
    const id = event.id ?? this.#log.end;
    // As JSON, so that nobody has a part of what is stored.
    const stored = JSON.parse(JSON.stringify({ specversion: '1.0', ...event, id }));
    const cursor = this.#log.append(stored);
    this.#follow();
    return cursor;
  }

  #follow(): void {
    for (const socket of this.#sockets) socket.follow();
  }

  #end(code: number): void {
    for (const socket of [...this.#sockets]) socket.end(code);
  }

  #refuseNext(next: string): void {
    const index = this.#refusals.findIndex((one) => one.next === next);
    const [found] = index < 0 ? [] : this.#refusals.splice(index, 1);
    if (found) throw found.refusal;
  }

  async #ask(token: ConnectOptions['token'] | undefined): Promise<string> {
    this.#time.moves++;
    const answer = typeof token === 'function' ? await token() : token;
    this.#refused = undefined;
    return answer ?? `token-${++this.#tokens}`;
  }

  #requireToken(): void {
    if (this.#refused) throw this.#refused;
  }

  #environment(): Environment {
    return {
      now: () => this.#time.nowMs,
      wall: () => Date.now(),
      // A wait before a further attempt is any part of its length: here none.
      random: () => 0,
      timer: (run, ms) => this.#time.timer(run, ms),
      socket: () => this.#open() as unknown as WebSocket,
      fetch: ((url: string, init: RequestInit) => this.#fetch(url, init)) as typeof fetch,
      onWake: (run) => {
        this.#wakes.add(run);
        return () => this.#wakes.delete(run);
      },
      onLeave: () => () => undefined,
    };
  }

  #open(): FakeSocket {
    this.#time.moves++;
    const socket = new FakeSocket({
      log: this.#log,
      moved: () => this.#time.moves++,
      accept: () => {
        if (this.#isAway) throw new Error('There is no network.');
        this.#requireToken();
      },
      admit: (patterns) => {
        this.#refuseNext('subscribe');
        for (const pattern of patterns) this.#permissions.require('subscribe', pattern);
      },
      ended: (ended) => this.#sockets.delete(ended),
    });
    this.#sockets.add(socket);
    return socket;
  }

  async #fetch(url: string, { method = 'GET', headers, body, signal }: RequestInit) {
    this.#time.moves++;
    await Promise.resolve();
    signal?.throwIfAborted();
    if (this.#isAway) throw new TypeError('There is no network.');
    const asked = { method, path: url, headers: headers as Record<string, string> };
    const { status, body: answer } = this.#answer({ ...asked, body: body as string | undefined });
    this.#time.moves++;
    const text = JSON.stringify(answer);
    return { ok: status < 400, status, headers: new Headers(), text: async () => text };
  }

  #answer(asking: Parameters<FakeServices['answer']>[0]) {
    try {
      this.#requireToken();
      return this.#services.answer(asking);
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }
}

/** @throws TidemarkClientError in place of a refusal */
function asClient<Value>(run: () => Value): Value {
  try {
    return run();
  } catch (error) {
    throw error instanceof Refusal ? error.toError() : error;
  }
}
