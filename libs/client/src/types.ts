/**
 * The public interface of the client library. Sections are those of `libs/protocol/PROTOCOL.md`.
 * Times are milliseconds and sizes are bytes, unless a name says otherwise.
 */

/** Types of `data` by the `type` of an event: `connect<{ 'order.paid': Order }>(…)`. */
export type EventMap = Readonly<Record<string, unknown>>;

/** A CloudEvent as a subscription receives it (section 3). Extension attributes are further fields. */
export interface CloudEvent<Type extends string = string, Data = unknown> {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: Type;
  readonly topic: string;
  readonly time?: string;
  readonly data?: Data;
  readonly data_base64?: string;
  readonly publisher?: string;
  readonly traceparent?: string;
  readonly [attribute: string]: unknown;
}

/** An event of one of the types of `Events`; `event.data` has the type that belongs to `event.type`. */
export type EventOf<Events extends EventMap> = {
  [Type in keyof Events & string]: CloudEvent<Type, Events[Type]>;
}[keyof Events & string];

/** What an event to publish may leave out: `id` is made here, the rest by the service (section 10). */
export interface NewEvent<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly topic?: string;
  readonly id?: string;
  readonly source?: string;
  readonly time?: string;
  readonly data?: Data;
  readonly [attribute: string]: unknown;
}

/** Where a subscription begins (section 4): a cursor, an RFC 3339 time, or one of these words. */
export type Start = 'latest' | 'earliest' | 'last' | (string & {});

/**
 * Keeps cursors, so that a subscription goes on after a reload or a crash. `get` answers what `set` stored
 * under the key, or `undefined`. Either may fail: a failed `get` ends the subscription with `store_failed`; a
 * failed `set` is tried again with the next cursor.
 */
export interface CursorStore {
  get(key: string): string | undefined | Promise<string | undefined>;
  set(key: string, cursor: string): void | Promise<void>;
}

/** What `connect` takes. */
export interface ConnectOptions {
  /** The gateway's base URL, such as `https://events.example.com`. */
  readonly url: string;
  /** The base URL of ingest, for `publish`; `url` if absent. */
  readonly ingestUrl?: string;
  /** The base URL of replay, for the inbox; `url` if absent. */
  readonly replayUrl?: string;
  /**
   * The token, or a function that answers a new one. The function is asked when the first connection opens,
   * before the token expires, and when a service has refused it. Calls at the same time share one answer.
   * A failure counts as being offline: it is asked again.
   */
  readonly token: string | (() => string | Promise<string>);
  /** Where named subscriptions keep their cursors; in memory if absent. */
  readonly store?: CursorStore;
  /** The W3C `traceparent` of what the page does now; requests and published events carry it. */
  readonly traceparent?: () => string | undefined;
}

/** What a subscription may choose beside its topics. */
export interface SubscribeOptions {
  /** Where to begin; `latest` if absent. A cursor in the store counts before it. */
  readonly after?: Start;
  /** Only events of these types (section 2.2). */
  readonly types?: readonly string[];
  /**
   * `latest`: only the newest event of each topic while the subscription is behind (section 6.7), or its consumer is.
   * With other subscriptions that overlap it may be more.
   */
  readonly deliver?: 'all' | 'latest';
  /** With `after: "last"`: the last events have this cursor (section 4.3). */
  readonly atLeast?: string;
  /** The key of the cursor in the store. Without a name the cursor is not stored. */
  readonly name?: string;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

/** A part of the log that this subscription will not receive (section 5). */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: 'expired' | 'epoch' | 'future';
}

/** What a subscription receives, in order. */
export type Message<Event = CloudEvent> =
  | {
      readonly type: 'event';
      readonly event: Event;
      /** The position of this event, such as for `ifMatch`. */
      readonly cursor: string;
      /** One of the last events (section 4.2). */
      readonly last?: true;
    }
  | ({ readonly type: 'gap' } & Gap)
  /** Events were skipped in favour of newer ones of their topics (section 6.7). */
  | { readonly type: 'skipped'; readonly count: number; readonly cursor: string }
  /** Everything that was stored before the subscription began has been handed over. */
  | { readonly type: 'live'; readonly cursor: string }
  /** The last events were cut off and begin again: drop what this subscription gave so far (section 4.2). */
  | { readonly type: 'reset' };

/**
 * A subscription. It is read by one consumer: `for await`, `messages()` or `each`. The consumer has finished
 * with a message when it asks for the next one, and only then does the cursor move past it: what was in hand in
 * a crash, or when a loop was left, comes again. A consumer that is slow slows the reading: at 1,000 messages or
 * 1 MiB that wait, the library leaves the subscription and comes back at its cursor.
 */
export interface Subscription<Event = CloudEvent> extends AsyncIterable<Event> {
  /** The position up to which the consumer has finished; `undefined` before there is one. */
  readonly cursor: string | undefined;
  /** The server has confirmed the subscription. Rejects where the subscription ends before. */
  readonly ready: Promise<void>;
  /** The subscription has received everything that was stored before it began. Rejects like `ready`. */
  readonly live: Promise<void>;
  /** Events with their cursors, and between them, in order, what happened to the subscription. */
  messages(): AsyncIterableIterator<Message<Event>>;
  /**
   * Calls `handle` with one event after the other, and waits for its promise.
   * @returns a promise that resolves when the subscription is closed, and rejects with what `handle` threw or
   *   with the `TidemarkClientError` that ended the subscription
   */
  each(handle: (event: Event, cursor: string) => unknown): Promise<void>;
  /** Hears what the events' loop passes over. Called when the consumer comes to it. @returns a function that ends it */
  on<Type extends 'gap' | 'skipped' | 'live' | 'reset'>(
    type: Type,
    handle: (message: Extract<Message, { type: Type }>) => void,
  ): () => void;
  /** Ends the subscription: loops end, and the cursor is stored. */
  close(): void;
}

/** What a user interface shows of the connection. */
export type Status =
  | { readonly state: 'connecting' }
  | {
      readonly state: 'catching-up';
      /** How many events have arrived since the catch-up began. */
      readonly events: number;
      /** How old the newest of these is, by its `time`; absent before the first one with a time. */
      readonly ms?: number;
    }
  | { readonly state: 'live' }
  /** It comes back by itself. */
  | { readonly state: 'offline' }
  /** It does not come back, and its subscriptions have ended; `authenticate` begins anew. `reason` is for people. */
  | { readonly state: 'stopped'; readonly reason: string; readonly code: string };

/** What the service stored (section 10). */
export interface Published {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly cursor: string;
  /** The event had been stored before, such as by an attempt whose answer was lost. */
  readonly duplicate: boolean;
}

/** How `publish` stores an event. */
export interface PublishOptions {
  /** Store only if one of these is the cursor of the topic's last event; `null`: if the topic has none. */
  readonly ifMatch?: string | readonly string[] | null;
  /** Gives up. The event may have been stored. */
  readonly signal?: AbortSignal;
}

/** The newest event of each topic, kept up to date. */
export interface Snapshot<Event = CloudEvent> {
  readonly topics: ReadonlyMap<string, Event>;
  /** The newest events have arrived. Rejects where the subscription ends before. */
  readonly ready: Promise<void>;
  /** The snapshot is no longer kept up to date: it was closed. Rejects with the error that ended its subscription. */
  readonly ended: Promise<void>;
  /** Called after each change; `event` is `undefined` where the topic went. @returns a function that ends it */
  on(type: 'change', handle: (topic: string, event: Event | undefined) => void): () => void;
  close(): void;
}

/** What a snapshot may choose beside its topics. */
export interface SnapshotOptions extends Pick<SubscribeOptions, 'types' | 'atLeast' | 'signal'> {
  /** Which event says that its topic has gone; one without data if absent. */
  readonly tombstone?: (event: CloudEvent) => boolean;
}

/** What `join` takes: topics, how to read the state, and how to apply a change to it. */
export interface JoinOptions<State, Event> extends Pick<SubscribeOptions, 'types' | 'signal'> {
  readonly topics: string | readonly string[];
  /** Reads the state. It may have more than what was stored before it was asked: `apply` passes that over. */
  readonly fetchState: () => Promise<State>;
  /** Applies a change and answers the new state. It gets changes that the state has already. */
  readonly apply: (state: State, event: Event, cursor: string) => State;
}

/** State of another service, and each change since. After a gap the state is read again. */
export interface Joined<State> {
  /** `undefined` before `ready`. */
  readonly state: State | undefined;
  readonly ready: Promise<void>;
  on(type: 'change', handle: (state: State) => void): () => void;
  close(): void;
}

/** The services that answer requests; behind one proxy they have one base URL. */
export type Service = 'gateway' | 'ingest' | 'replay';

/** What a request may have beside its method and path. */
export interface RequestOptions {
  /** Becomes JSON, unless it is a text already. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The gateway if absent. */
  readonly service?: Service;
  readonly signal?: AbortSignal;
}

/** What a service answered: the body is parsed JSON, or `undefined` where there is none. */
export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** The connection of one user to a Tidemark gateway. Nothing opens before the first subscription. */
export interface Tidemark<Events extends EventMap = Record<string, unknown>> {
  readonly status: Status;
  on(type: 'status', handle: (status: Status) => void): () => void;
  /** @throws TidemarkClientError `closed` */
  subscribe(
    topics: string | readonly string[],
    options?: SubscribeOptions,
  ): Subscription<EventOf<Events>>;
  snapshot(
    topics: string | readonly string[],
    options?: SnapshotOptions,
  ): Snapshot<EventOf<Events>>;
  join<State>(options: JoinOptions<State, EventOf<Events>>): Joined<State>;
  /**
   * Stores an event. Events go out one after the other, in order, each under one `id` however often it is tried.
   * While the service is away they wait, 1,000 of them and 4 MiB at most.
   * @throws TidemarkClientError `queue_full`, or what the service answered, such as `precondition_failed` with
   *   its `cursor`
   */
  publish<Type extends keyof Events & string>(
    event: NewEvent<Type, Events[Type]>,
    options?: PublishOptions,
  ): Promise<Published>;
  /** Asks for a new token now, such as after a change of permissions. A client that was stopped takes subscriptions again. */
  authenticate(): Promise<void>;
  /**
   * A request with the token and `traceparent`; for parts of the library such as the inbox. A refused token is
   * replaced once. What may succeed later is tried again up to four times, except for POST.
   * @throws TidemarkClientError what the service answered, or `offline`
   */
  request<Body = unknown>(
    method: string,
    path: string,
    options?: RequestOptions,
  ): Promise<Answer<Body>>;
  /** Ends all subscriptions, and everything that waits with `closed`. */
  close(): void;
}
