import { formatCursor, matches, type Position, parseCursor } from '@tidemark/protocol';
import type { Random } from '../../simulation/random.ts';
import type { FakeLog } from './fake-log.ts';
import type { Recorder } from './fake-run.ts';

/** How many events a subscription with `latest` looks ahead. */
const WINDOW = 12;

/** A subscription, as its client and its gateway see it. */
export class FakeSubscription {
  readonly name: string;
  readonly patterns: readonly string[];
  readonly deliver: 'all' | 'latest';
  readonly start: string | undefined;
  confirmed = false;
  live = false;
  cursor: Position | undefined;

  constructor(name: string, options: Pick<FakeSubscription, 'patterns' | 'deliver' | 'start'>) {
    this.name = name;
    this.patterns = options.patterns;
    this.deliver = options.deliver;
    this.start = options.start;
  }

  matches(topic: string): boolean {
    return this.patterns.some((pattern) => matches(pattern, topic));
  }
}

/** A client with one connection at a time, and the gateway that serves it. */
export class FakeClient {
  readonly subscriptions: readonly FakeSubscription[];
  readonly #name: string;
  readonly #token: string;
  readonly #log: FakeLog;
  readonly #random: Random;
  readonly #recorder: Recorder;
  #connections = 0;
  #isOpen = false;

  constructor(
    name: string,
    token: string,
    subscriptions: readonly FakeSubscription[],
    parts: { log: FakeLog; random: Random; recorder: Recorder },
  ) {
    this.#name = name;
    this.#token = token;
    this.subscriptions = subscriptions;
    this.#log = parts.log;
    this.#random = parts.random;
    this.#recorder = parts.recorder;
  }

  get #connection(): string {
    return `${this.#name}/${this.#connections}`;
  }

  step(): void {
    const waiting = this.subscriptions.find(({ confirmed }) => !confirmed);
    if (!this.#isOpen) this.#connect();
    else if (waiting) this.#confirm(waiting);
    else if (this.#random.chance(0.05)) this.#close();
    else this.#serve(this.#random.between(1, 8));
  }

  /** Connects, catches up and is live. */
  settle(): void {
    while (!this.#isOpen || !this.subscriptions.every(({ live }) => live)) {
      if (!this.#isOpen) this.#connect();
      for (const one of this.subscriptions) if (!one.confirmed) this.#confirm(one);
      this.#serve(20);
    }
    this.#serve(Number.MAX_SAFE_INTEGER);
  }

  /** The gateway has seen that the log lost its end. */
  noticeLoss(): void {
    for (const one of this.subscriptions) if (one.confirmed) this.#tellLoss(one);
  }

  #record(kind: string, fields: object): void {
    const { nowMs: atMs } = this.#recorder;
    this.#recorder.record({ kind, atMs, connection: this.#connection, ...fields } as never);
  }

  #connect(): void {
    this.#connections++;
    this.#isOpen = true;
    const transport = this.subscriptions.length === 1 && this.#random.chance(0.5);
    const gateway = `gateway-${this.#random.between(1, 2)}`;
    const fields = { client: this.#name, token: this.#token, gateway };
    this.#record('connect', { ...fields, transport: transport ? 'sse' : 'websocket' });
    for (const { name, cursor, start, patterns, deliver } of this.subscriptions) {
      const after = cursor ? formatCursor(cursor) : start;
      const resumes = cursor !== undefined;
      const asked = { subscription: name, patterns, deliver, resumes };
      this.#record('subscribe', after === undefined ? asked : { ...asked, after });
    }
  }

  #close(): void {
    this.#isOpen = false;
    for (const one of this.subscriptions) {
      one.confirmed = false;
      one.live = false;
    }
    this.#record('connection-closed', { by: 'network', code: 1006 });
  }

  #confirm(one: FakeSubscription): void {
    one.confirmed = true;
    const { cursor } = one;
    if (!cursor) {
      const isEarliest = one.start === 'earliest';
      const sequence = isEarliest ? this.#log.goneThrough : this.#log.lastSequence;
      one.cursor = { epoch: this.#log.epoch, sequence };
      this.#record('subscribed', { subscription: one.name, cursor: formatCursor(one.cursor) });
      return;
    }
    const { sequence } = this.#log.locate(cursor);
    this.#record('subscribed', { subscription: one.name, cursor: this.#log.cursor(sequence) });
    this.#tellLoss(one);
    if (one.cursor?.epoch !== this.#log.epoch) one.cursor = { epoch: this.#log.epoch, sequence };
  }

  #tellLoss(one: FakeSubscription): void {
    if (!one.cursor) return;
    const { sequence, lost } = this.#log.locate(one.cursor);
    if (!lost) return;
    const to = this.#log.cursor(sequence);
    const from = formatCursor(one.cursor);
    this.#record('gap', { subscription: one.name, from, to, reason: 'future' });
    one.cursor = parseCursor(to);
  }

  #tellExpired(one: FakeSubscription): void {
    const { goneThrough } = this.#log;
    const sequence = one.cursor ? this.#log.locate(one.cursor).sequence : goneThrough;
    if (sequence >= goneThrough) return;
    const gap = { from: this.#log.cursor(sequence), to: this.#log.cursor(goneThrough) };
    this.#record('gap', { subscription: one.name, ...gap, reason: 'expired' });
    one.cursor = parseCursor(gap.to);
  }

  #serve(count: number): void {
    for (const one of this.subscriptions) this.#tellExpired(one);
    const [only] = this.subscriptions;
    if (only?.deliver === 'latest' && !only.live) this.#serveLatest(only);
    else if (!this.#serveAll(count)) return;
    this.#finishStep();
  }

  /** @returns whether nothing is left to send */
  #serveAll(count: number): boolean {
    const lowest = Math.min(...this.subscriptions.map((one) => this.#sequenceOf(one)));
    let sent = 0;
    for (const { sequence, topic, id } of this.#log.range(lowest)) {
      const takers = this.subscriptions.filter(
        (one) => one.matches(topic) && this.#sequenceOf(one) < sequence,
      );
      if (takers.length === 0) continue;
      if (sent++ >= count) return false;
      const cursor = this.#log.cursor(sequence);
      this.#record('event', { cursor, topic, id });
      for (const one of takers) one.cursor = parseCursor(cursor);
    }
    return true;
  }

  #serveLatest(one: FakeSubscription): void {
    const wanted = this.#log.range(this.#sequenceOf(one)).filter(({ topic }) => one.matches(topic));
    for (let index = 0; index < wanted.length; index += WINDOW) {
      const window = wanted.slice(index, index + WINDOW);
      const newest = window.filter(
        ({ topic, sequence }) =>
          !window.some((other) => other.topic === topic && other.sequence > sequence),
      );
      for (const { sequence, topic, id } of newest) {
        const cursor = this.#log.cursor(sequence);
        this.#record('event', { cursor, topic, id });
        one.cursor = parseCursor(cursor);
      }
      const count = window.length - newest.length;
      const cursor = formatCursor(one.cursor ?? { epoch: '', sequence: 0 });
      if (count > 0) this.#record('skipped', { subscription: one.name, count, cursor });
    }
  }

  /** Everything has been sent: `live`, or a heartbeat. */
  #finishStep(): void {
    const cursor = this.#log.cursor(this.#log.lastSequence);
    for (const one of this.subscriptions) {
      if (one.live) continue;
      one.live = true;
      this.#record('live', { subscription: one.name, cursor });
    }
    this.#record('heartbeat', { cursor });
    for (const one of this.subscriptions) one.cursor = parseCursor(cursor);
  }

  #sequenceOf({ cursor }: FakeSubscription): number {
    return cursor ? this.#log.locate(cursor).sequence : this.#log.lastSequence;
  }
}
