import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../simulation/random.ts';
import type { Recorder } from '../recorder.ts';
import type { ClientConnection, ConnectionEnd, GatewayAddress } from './connection.ts';
import { SseConnection } from './sse-connection.ts';
import { Subscription, type SubscriptionChoice } from './subscription.ts';
import type { MadeToken, Tokens } from './tokens.ts';
import { WebSocketConnection } from './web-socket-connection.ts';

/** How a client behaves until the run settles. */
export const TEMPERS = ['steady', 'restless', 'sleepy', 'slow', 'stalled'] as const;
export type Temper = (typeof TEMPERS)[number];

const RETURN_MS = 100;
const RETURN_JITTER_MS = 300;

const ANEW_CHANCE = 0.15;

/** A token is exchanged when it has less than this left. */
const EXCHANGE_MS = 1500;

export interface ClientOptions {
  readonly name: string;
  readonly temper: Temper;
  /** What it asks for: at first, and when it gives up what it had and begins anew. */
  choose(generation: number): readonly SubscriptionChoice[];
  /** Life of its tokens; `undefined`: longer than the run. */
  readonly ttlSeconds: number | undefined;
  readonly gateways: readonly GatewayAddress[];
  readonly deadAfterMs: number;
  readonly recorder: Recorder;
  readonly tokens: Tokens;
  readonly random: Random;
}

/** A client that comes back with its cursors, on another gateway and over another transport. */
export class Client {
  subscriptions: readonly Subscription[];
  readonly #options: ClientOptions;
  #token: MadeToken | undefined;
  #connection: ClientConnection | undefined;
  #connections = 0;
  #generation = 1;
  #settled = false;
  #stopped = false;
  #wake = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.subscriptions = options.choose(1).map((choice) => new Subscription(choice));
    this.#running = this.#run();
  }

  /** Whether all its subscriptions are live. */
  get isLive(): boolean {
    return this.subscriptions.every(({ live }) => live);
  }

  /** From now on it is awake, reads, and comes back at once. */
  settle(): void {
    this.#settled = true;
    this.#wake.abort();
    this.#connection?.resume();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.settle();
    this.#connection?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { random } = this.#options;
    while (!this.#stopped) {
      await this.#renewToken();
      const connection = this.#connect();
      this.#connection = connection;
      const living = this.#live(connection);
      const end = await connection.ended;
      this.#connection = undefined;
      this.#wake.abort();
      await living;
      this.#wake = new AbortController();
      if (this.#token && isUnusable(end)) this.#token.revoked = true;
      if (this.#options.temper === 'restless' && random.chance(ANEW_CHANCE)) this.#beginAnew();
      if (this.#options.temper === 'sleepy') await this.#rest(random.between(5000, 30_000));
      if (!this.#stopped) await sleep(RETURN_MS + random.between(0, RETURN_JITTER_MS));
    }
  }

  /** Gives its subscriptions up and chooses others, for which it needs another token. */
  #beginAnew(): void {
    if (this.#settled) return;
    const { recorder, choose } = this.#options;
    for (const { choice } of this.subscriptions) {
      recorder.record({ kind: 'leave', subscription: choice.name });
    }
    this.subscriptions = choose(++this.#generation).map((choice) => new Subscription(choice));
    this.#token = undefined;
  }

  #connect(): ClientConnection {
    const { name: client, recorder, random, gateways, deadAfterMs } = this.#options;
    const gateway = random.pick(gateways);
    const isSse = this.subscriptions.length === 1 && random.chance(0.5);
    const transport = isSse ? 'sse' : 'websocket';
    const name = `${client}/${++this.#connections}`;
    const token = this.#token as MadeToken;
    const connect = { client, token: token.name, transport, gateway: gateway.name } as const;
    recorder.record({ kind: 'connect', connection: name, ...connect });
    const { subscriptions } = this;
    const options = { recorder, name, gateway, token, subscriptions, deadAfterMs };
    return isSse ? new SseConnection(options) : new WebSocketConnection(options);
  }

  /** Does what its temper makes it do, until the connection ends or the run settles. */
  async #live(connection: ClientConnection): Promise<void> {
    const { random, temper } = this.#options;
    while (!this.#settled && this.#connection === connection) {
      switch (temper) {
        case 'steady':
          await this.#rest(1000);
          await this.#exchangeToken(connection);
          break;
        case 'restless':
        case 'sleepy':
          await this.#rest(random.between(1000, 12_000));
          if (!this.#settled) connection.close();
          return;
        case 'slow':
          await this.#rest(random.between(200, 2000));
          if (this.#settled) return;
          connection.pause();
          await this.#rest(random.between(200, 2000));
          connection.resume();
          break;
        case 'stalled':
          await this.#rest(random.between(2000, 8000));
          if (this.#settled) return;
          connection.pause();
          await this.#rest(random.between(5000, 20_000));
          connection.resume();
          break;
      }
    }
  }

  /** Waits, unless the connection ends or the run settles meanwhile. */
  async #rest(ms: number): Promise<void> {
    if (this.#settled) return;
    await sleep(ms, undefined, { signal: this.#wake.signal }).catch(() => {});
  }

  async #exchangeToken(connection: ClientConnection): Promise<void> {
    const token = this.#token;
    if (!token || token.expiresAtMs - this.#options.recorder.nowMs > EXCHANGE_MS) return;
    if (this.#options.random.chance(0.3)) return;
    this.#token = await this.#makeToken();
    connection.authenticate(this.#token);
  }

  async #renewToken(): Promise<void> {
    const token = this.#token;
    if (token && !token.revoked && token.expiresAtMs > this.#options.recorder.nowMs) return;
    this.#token = await this.#makeToken();
  }

  async #makeToken(): Promise<MadeToken> {
    const { tokens, name, ttlSeconds } = this.#options;
    const subscribe = this.subscriptions.flatMap(({ choice }) => choice.patterns);
    const token = await tokens.make(name, { subscribe }, ttlSeconds);
    tokens.revocable.push(token);
    return token;
  }
}

/** Whether a connection ended for its token, so that the client needs another one. */
function isUnusable({ code }: ConnectionEnd): boolean {
  return code === 4501 || code === 4004 || code === 'unauthenticated' || code === '401';
}
