import { isAfter } from './cursors.ts';
import { deferred } from './deferred.ts';
import { closedError, type TidemarkClientError } from './errors.ts';
import { Listeners } from './listeners.ts';
import { MessageQueue, type Taken } from './message-queue.ts';
import { topicMatcher, typeMatcher } from './patterns.ts';
import type { StoredCursor } from './stored-cursor.ts';
import type { CloudEvent, Message, SubscribeOptions, Subscription } from './types.ts';
import type { Request, ServerMessage } from './wire.ts';

type Passed = Exclude<Message, { type: 'event' }>;
type PassedOf<Type> = Extract<Passed, { type: Type }>;

/** What a subscription asks of its connection. */
export interface SubscriptionHost {
  /** There is room again: subscribe again. */
  resume(subscription: OpenSubscription): void;
  /** Nothing more is wanted. */
  remove(subscription: OpenSubscription): void;
}

/**
 * One subscription, across connections. It has two positions: `#received`, from which it comes back on the next
 * connection, and `cursor`, up to which the consumer has finished.
 */
export class OpenSubscription implements Subscription<CloudEvent> {
  readonly topics: readonly string[];
  readonly ready: Promise<void>;
  readonly live: Promise<void>;
  /** The id on the present connection; `undefined` while not subscribed there. */
  wireId: string | undefined;
  /** It waits for its consumer. */
  isPaused = false;
  /** It has caught up on the present connection. */
  isLive = false;
  /** Failures in a row that may pass. */
  attempt = 0;

  readonly #host: SubscriptionHost;
  readonly #options: SubscribeOptions;
  readonly #store: StoredCursor;
  readonly #matchesTopic: (topic: string) => boolean;
  readonly #matchesType: (type: string) => boolean;
  readonly #queue: MessageQueue;
  readonly #passed = new Listeners<[Passed]>();
  readonly #ready = deferred();
  readonly #live = deferred();
  #confirmed = false;
  #start: string;
  /** Where the present connection is; within the last events it is none to come back with. */
  #received: string | undefined;
  #lastPending: boolean;
  #lastBegun = false;
  #inHand: Taken | undefined;
  #consumed = false;
  #wake: (() => void) | undefined;
  #ended: { readonly error?: TidemarkClientError } | undefined;

  constructor(
    host: SubscriptionHost,
    topics: readonly string[],
    options: SubscribeOptions,
    store: StoredCursor,
  ) {
    this.#host = host;
    this.topics = topics;
    this.#options = options;
    this.#store = store;
    this.#start = store.cursor ?? options.after ?? 'latest';
    this.#lastPending = this.#start === 'last';
    this.#queue = new MessageQueue(options.deliver);
    this.#matchesTopic = topicMatcher(topics);
    this.#matchesType = typeMatcher(options.types);
    this.ready = this.#ready.promise;
    this.live = this.#live.promise;
    options.signal?.addEventListener('abort', () => this.close());
  }

  get cursor(): string | undefined {
    return this.#store.cursor;
  }

  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** A stored cursor has been read: it counts before the start that the consumer named. */
  startAt(cursor: string | undefined): void {
    if (cursor === undefined) return;
    this.#start = cursor;
    this.#lastPending = false;
  }

  get request(): Request {
    const { types, deliver, atLeast } = this.#options;
    const after = this.#lastPending ? 'last' : (this.#received ?? this.#start);
    return {
      topics: this.topics,
      after,
      ...(types && { types }),
      ...(deliver === 'latest' && { deliver }),
      ...(atLeast !== undefined && this.#lastPending && { atLeast }),
    };
  }

  /** The connection has asked for it under this id. */
  begin(wireId: string): void {
    this.wireId = wireId;
    this.#confirmed = false;
    this.isLive = false;
    this.isPaused = false;
  }

  /** The connection has gone, or the subscription on it. */
  detach(): void {
    this.wireId = undefined;
    this.#confirmed = false;
    this.isLive = false;
    if (!this.#lastPending || !this.#lastBegun) return;
    // Within the last events there is no way back: they begin again, as of a new position.
    this.#lastBegun = false;
    this.#queue.clear();
    this.#put({ type: 'reset' }, 0, undefined);
  }

  /** Whether this event is for the subscription: PROTOCOL 6.4. */
  takes(cursor: string, { topic, type }: { topic: string; type: string }): boolean {
    return (
      this.#confirmed &&
      isAfter(cursor, this.#received) &&
      this.#matchesTopic(topic) &&
      this.#matchesType(type)
    );
  }

  receive(message: ServerMessage, size: number): void {
    switch (message.type) {
      case 'subscribed':
        this.#confirmed = true;
        this.attempt = 0;
        this.#reach(message.cursor);
        this.#ready.resolve();
        return;
      case 'last':
        this.#lastBegun = true;
        this.#put(eventMessage(message, true), size, undefined);
        return;
      case 'event':
        this.#arrive(message.cursor);
        this.#put(eventMessage(message), size, message.cursor);
        return;
      case 'live':
        this.#arrive(message.cursor);
        this.isLive = true;
        this.#put({ type: 'live', cursor: message.cursor }, 0, message.cursor);
        this.#live.resolve();
        return;
      case 'gap': {
        const { from, to, reason } = message;
        this.#confirmed = true;
        this.#received = to;
        this.#lastBegun = this.#lastPending;
        this.#put({ type: 'gap', from, to, reason }, 0, this.#lastPending ? undefined : to);
        return;
      }
      case 'skipped': {
        const { count, cursor } = message;
        this.#put({ type: 'skipped', count, cursor }, 0, undefined);
        return;
      }
      case 'heartbeat':
        if (message.cursor === undefined || !this.#confirmed) return;
        if (!isAfter(message.cursor, this.#received)) return;
        this.#arrive(message.cursor);
        this.#mark(message.cursor);
    }
  }

  /** Ends it. With an error the consumer gets what waits first, then the error. */
  end(error?: TidemarkClientError): void {
    if (this.#ended) return;
    this.#ended = error ? { error } : {};
    if (!error) this.#queue.clear();
    const reason = error ?? closedError();
    this.#ready.reject(reason);
    this.#live.reject(reason);
    this.#host.remove(this);
    this.#store.flush();
    this.#wake?.();
  }

  close(): void {
    this.end();
  }

  on<Type extends Passed['type']>(
    type: Type,
    handle: (message: PassedOf<Type>) => void,
  ): () => void {
    return this.#passed.add((message) => {
      if (message.type === type) handle(message as PassedOf<Type>);
    });
  }

  messages(): AsyncIterableIterator<Message<CloudEvent>> {
    if (this.#consumed) throw new TypeError('A subscription has one consumer.');
    this.#consumed = true;
    const iterator: AsyncIterableIterator<Message<CloudEvent>> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => this.#next(),
      // What is in hand may not have been finished: it comes again.
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  }

  [Symbol.asyncIterator](): AsyncIterator<CloudEvent> {
    const messages = this.messages();
    const end = async () => {
      this.close();
      return { done: true, value: undefined } as const;
    };
    const next = async (): Promise<IteratorResult<CloudEvent>> => {
      for (;;) {
        const { done, value } = await messages.next();
        if (done) return { done: true, value: undefined };
        if (value.type === 'event') return { done: false, value: value.event };
      }
    };
    return { next, return: end };
  }

  async each(handle: (event: CloudEvent, cursor: string) => unknown): Promise<void> {
    for await (const message of this.messages()) {
      if (message.type === 'event') await handle(message.event, message.cursor);
    }
  }

  async #next(): Promise<IteratorResult<Message<CloudEvent>>> {
    this.#finish();
    for (;;) {
      const item = this.#queue.take();
      if (item) return { done: false, value: this.#hand(item) };
      if (this.#ended?.error) throw this.#ended.error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #hand(item: Taken): Message<CloudEvent> {
    this.#inHand = item;
    if (this.isPaused && this.#queue.isHalfEmpty && !this.#ended) this.#host.resume(this);
    const { message } = item;
    if (message.type !== 'event') this.#passed.tell(message);
    return message;
  }

  #finish(): void {
    const after = this.#inHand?.after;
    this.#inHand = undefined;
    if (after === undefined) return;
    this.#store.advance(after);
    if (this.#ended) this.#store.flush();
  }

  #put(message: Message<CloudEvent>, size: number, after: string | undefined): void {
    this.#queue.push({ message, size, after });
    this.#wake?.();
    this.#wake = undefined;
  }

  /** A cursor to come back with: no last event is on its way any more. */
  #arrive(cursor: string): void {
    this.#lastPending = false;
    this.#received = cursor;
  }

  /** Where the server begins; within the last events it only says which events are new. */
  #reach(cursor: string): void {
    this.#received = cursor;
    if (!this.#lastPending) this.#mark(cursor);
  }

  /** The position has moved on without a message: the consumer reaches it with what is before it. */
  #mark(cursor: string): void {
    const before = this.#queue.newest ?? this.#inHand;
    if (before) before.after = cursor;
    else this.#store.advance(cursor);
  }

  /** More waits than may: the subscription is to be left until the consumer has taken half. */
  get isFull(): boolean {
    // Last events have no way back; they are as many as a start may have topics.
    return this.#queue.isFull && !this.#lastPending;
  }
}

function eventMessage(
  message: { cursor?: string; event: unknown },
  last?: true,
): Message<CloudEvent> {
  const event = message.event as CloudEvent;
  const cursor = message.cursor ?? '';
  return last ? { type: 'event', event, cursor, last } : { type: 'event', event, cursor };
}
