import { backoffMs, pause } from './backoff.ts';
import { closedError, isTokenRefusal, queueFullError, TidemarkPublisherError } from './errors.ts';
import type { QueuedEvent } from './queued-event.ts';
import type { Transport } from './transport.ts';
import type { AppendOptions, QueueLimits } from './types.ts';

/** What a queue holds at most where its owner says nothing. */
export const QUEUE_EVENTS_MAX = 10_000;
export const QUEUE_BYTES_MAX = 16 << 20;

/** Events that are sent together; a request holds one parcel, or several that may share it. */
export interface Parcel<Result> {
  readonly events: readonly QueuedEvent<Result>[];
  /** Whether it may share a request with events of other topics. It then is one event, without a condition. */
  readonly shared: boolean;
  readonly ifMatch?: AppendOptions['ifMatch'] | undefined;
}

/** A parcel in the queue, and those that wait until it is done because they share a topic with it. */
interface Waiting<Result> extends Parcel<Result> {
  readonly topics: ReadonlySet<string>;
  readonly followers: Waiting<Result>[];
  /** How many earlier ones are not done. */
  waitsFor: number;
}

/**
 * Sends parcels in the order of their topics. One that shares a topic with an earlier one waits until that has been
 * stored or refused; so the order of a topic survives every failure. While all requests are on their way, what is ready
 * gathers, and goes out together in the next one.
 */
export class SendQueue<Result> {
  readonly #transport: Transport<Result>;
  readonly #eventsMax: number;
  readonly #bytesMax: number;
  readonly #held = new Set<Waiting<Result>>();
  /** The last parcel of each topic. */
  readonly #lasts = new Map<string, Waiting<Result>>();
  #ready: Waiting<Result>[] = [];
  readonly #aborting = new AbortController();
  #events = 0;
  #bytes = 0;
  #attempts = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(transport: Transport<Result>, limits: QueueLimits = {}) {
    this.#transport = transport;
    this.#eventsMax = limits.eventsMax ?? QUEUE_EVENTS_MAX;
    this.#bytesMax = limits.bytesMax ?? QUEUE_BYTES_MAX;
  }

  /**
   * Whether so much may be added.
   *
   * @throws TidemarkPublisherError `queue_full`
   */
  requireRoom(events: number, bytes: number): void {
    const fits = this.#events + events <= this.#eventsMax && this.#bytes + bytes <= this.#bytesMax;
    if (!fits) throw queueFullError();
  }

  add(parcel: Parcel<Result>): void {
    const { events } = parcel;
    const topics = new Set(events.map(({ event }) => event.topic));
    const waiting: Waiting<Result> = { ...parcel, topics, followers: [], waitsFor: 0 };
    for (const topic of topics) {
      const last = this.#lasts.get(topic);
      if (last) waiting.waitsFor++;
      last?.followers.push(waiting);
      this.#lasts.set(topic, waiting);
    }
    this.#held.add(waiting);
    this.#events += events.length;
    this.#bytes += bytesOf(waiting);
    if (waiting.waitsFor === 0) this.#ready.push(waiting);
    this.#sendReady();
  }

  /** Resolves when nothing waits and nothing is on its way. */
  idle(): Promise<void> {
    if (this.#held.size === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#onIdle.push(resolve));
  }

  /** Rejects everything that has not been stored, and ends what is on its way. */
  abort(): void {
    for (const { events } of this.#held) {
      for (const one of events) one.reject(closedError());
    }
    this.#aborting.abort();
  }

  #sendReady(): void {
    while (this.#ready.length > 0 && this.#attempts < this.#transport.attemptsMax) {
      this.#attempts++;
      void this.#run(this.#takeTogether());
    }
  }

  /** The next parcels that fit into one request: one, or several that may share it. */
  #takeTogether(): Waiting<Result>[] {
    const { eventsMax, bytesMax } = this.#transport;
    let count = 0;
    let bytes = 0;
    for (const one of this.#ready) {
      // With the comma before it, and the brackets of the array.
      bytes += bytesOf(one) + 2;
      if (count > 0 && (!one.shared || count >= eventsMax || bytes > bytesMax)) break;
      count++;
      if (!one.shared) break;
    }
    return this.#ready.splice(0, count);
  }

  async #run(together: readonly Waiting<Result>[]): Promise<void> {
    await this.#deliver(together);
    this.#attempts--;
    this.#sendReady();
    if (this.#held.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Makes room, before the callers hear of it: they may add the next event at once. */
  #finish(together: readonly Waiting<Result>[]): void {
    for (const one of together) this.#finishOne(one);
  }

  #finishOne(done: Waiting<Result>): void {
    this.#held.delete(done);
    this.#events -= done.events.length;
    this.#bytes -= bytesOf(done);
    for (const topic of done.topics) {
      if (this.#lasts.get(topic) === done) this.#lasts.delete(topic);
    }
    for (const follower of done.followers) {
      if (--follower.waitsFor === 0) this.#ready.push(follower);
    }
  }

  /** Tries until every event has ended. Never throws. */
  async #deliver(together: readonly Waiting<Result>[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const left = together.flatMap(({ events }) => events).filter((one) => !one.hasEnded);
      if (left.length === 0) return this.#finish(together);
      const outcome = await this.#attempt(left, together[0]?.ifMatch);
      if (!(outcome instanceof TidemarkPublisherError)) {
        this.#finish(together);
        for (const [index, one] of left.entries()) one.resolve(outcome[index] as Result);
        return;
      }
      const error = outcome;
      if (!error.retryable) return this.#refuse(together, left, error);
      for (const one of left) one.noteFailure(error);
      const ms = Math.max(backoffMs(attempt), error.retryAfterMs ?? 0);
      await pause(ms, Promise.all(left.map(({ ended }) => ended)));
    }
  }

  async #attempt(
    queued: readonly QueuedEvent<Result>[],
    ifMatch: AppendOptions['ifMatch'] | undefined,
  ): Promise<readonly Result[] | TidemarkPublisherError> {
    const events = queued.map(({ event }) => event);
    try {
      const signal = this.#aborting.signal;
      return await this.#transport.send({ events, ifMatch, signal });
    } catch (error) {
      if (error instanceof TidemarkPublisherError) return error;
      // A fault of this library or of what it was given: trying again would not help.
      const message = error instanceof Error ? error.message : String(error);
      return new TidemarkPublisherError(
        { code: 'internal', message, retryable: false },
        { cause: error },
      );
    }
  }

  /**
   * What is wrong with one event of a shared request concerns its caller alone: those that the faults name are sent
   * apart and get an answer of their own. Where they name none, each half is. A refused token concerns all.
   */
  async #refuse(
    together: readonly Waiting<Result>[],
    left: readonly QueuedEvent<Result>[],
    error: TidemarkPublisherError,
  ): Promise<void> {
    if (together.length === 1 || left.length === 1 || isTokenRefusal(error)) {
      this.#finish(together);
      for (const one of left) one.reject(error);
      return;
    }
    const named = new Set(error.faults.map(({ path }) => left[placeOf(path)]));
    const isNamed = ({ events }: Waiting<Result>) => events.some((one) => named.has(one));
    const apart = together.filter(isNamed);
    const middle = Math.ceil(together.length / 2);
    const parts = apart.length
      ? [together.filter((one) => !isNamed(one)), ...apart.map((one) => [one])]
      : [together.slice(0, middle), together.slice(middle)];
    for (const part of parts) await this.#deliver(part);
  }
}

/** The number at the beginning of `[3].time`; -1 for a path without one. */
export function placeOf(path: string): number {
  return Number(/^\[(\d+)\]/.exec(path)?.[1] ?? -1);
}

function bytesOf<Result>({ events }: Parcel<Result>): number {
  return events.reduce((sum, { event }) => sum + event.bytes, 0);
}
