/**
 * The public interface of the publisher library. Sections are those of `libs/protocol/PROTOCOL.md`.
 * Times are milliseconds and sizes are bytes, unless a name says otherwise.
 */

/** Types of `data` by the `type` of an event: `createPublisher<{ 'order.paid': Order }>(…)`. */
export type EventMap = Readonly<Record<string, unknown>>;

/** The attributes of an event to publish (section 3). Extension attributes are further fields. */
export interface EventAttributes<Type extends string = string> {
  readonly type: Type;
  /** A new UUID if absent. Whoever may have to publish the event again later gives one of its own. */
  readonly id?: string;
  /** That of the publisher if absent. */
  readonly source?: string;
  /** The time of the call if absent. */
  readonly time?: string;
  readonly subject?: string;
  /** When nothing shows the event any more (section 3.1). */
  readonly expires?: string;
  /** The context of the active OpenTelemetry span if absent. */
  readonly traceparent?: string;
  readonly [attribute: string]: unknown;
}

/** An event to publish. `data` may be left out only where its type permits `undefined`. */
export type NewEvent<Type extends string = string, Data = unknown> = EventAttributes<Type> &
  (undefined extends Data ? { readonly data?: Data } : { readonly data: Data });

/** An event of one of the types of `Events`. */
export type EventOf<Events extends EventMap> = {
  [Type in keyof Events & string]: NewEvent<Type, Events[Type]>;
}[keyof Events & string];

/** An event of a batch, with its topic. */
export type TopicEvent<Events extends EventMap> = EventOf<Events> & { readonly topic: string };

/** What the stream has of an event. */
export interface Stored {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  /** The event had been stored before, such as by an attempt whose answer was lost. */
  readonly duplicate: boolean;
}

/** What ingest answers (section 10). */
export interface Published extends Stored {
  /** The position of the event, such as for `ifMatch` or `atLeast`. */
  readonly cursor: string;
}

/** How an event is published. */
export interface PublishOptions {
  /** Gives up: the promise rejects with the signal's reason. The event may have been stored. */
  readonly signal?: AbortSignal;
}

/** How a batch is published. */
export interface BatchOptions extends PublishOptions {
  /**
   * `true` (if absent): no request has two events of one topic, so that the order in each topic survives every
   * failure. `false`: requests are as large as the service permits, and where the stream fails in the middle of
   * one, what it lacked is stored behind the rest (section 10).
   */
  readonly keepOrder?: boolean;
}

/** The condition of an append (section 10). */
export interface AppendOptions extends PublishOptions {
  /** One of these is the cursor of the topic's last event; `null`: the topic has none. At most 8. */
  readonly ifMatch: string | readonly string[] | null;
}

/** What `read` of `retryOnConflict` gives: a state, and the cursor of the topic's last event that is in it. */
export interface Reading<State> {
  readonly state: State;
  /** `null` where the topic has no event. */
  readonly cursor: string | null;
}

/** What `read` of `retryOnConflict` is told. */
export interface ReadHint {
  /** The state has to have the event at this cursor: for `atLeast` (section 4.3). Absent at the first try. */
  readonly atLeast?: string;
}

/** How often `retryOnConflict` tries. */
export interface RetryOptions extends PublishOptions {
  /** 20 if absent. */
  readonly triesMax?: number;
}

/** What may wait in a publisher, with what is on its way. At the limit a call rejects with `queue_full`. */
export interface QueueLimits {
  /** 10,000 if absent. */
  readonly eventsMax?: number;
  /** Of the events as JSON; 16 MiB if absent. */
  readonly bytesMax?: number;
}

/** What every publisher takes. */
export interface PublisherOptions {
  /** The `source` of events that name none: a URI reference, such as `/orders`. */
  readonly source: string;
  /**
   * How long an event is tried, from the call on, or from its turn in a batch; 60,000 if absent, at most 300,000.
   * The stream recognises repeats for ten minutes (configurable there), and an event that is tried for longer could be stored twice.
   */
  readonly deadlineMs?: number;
  /** How long one attempt waits for its answer; 10,000 if absent. */
  readonly attemptMs?: number;
  readonly queue?: QueueLimits;
}

/** How a publisher closes. */
export interface CloseOptions {
  /** What has not been stored by then rejects with `closed`; each event has its deadline if absent. */
  readonly withinMs?: number;
}

/**
 * Publishes events, so that they cannot get lost: a call resolves only when the stream has stored its event, and
 * each event keeps one `id` however often it is tried. Events of one topic go out one after the other, in the
 * order of the calls; those of different topics share requests while requests are on their way.
 *
 * What may pass is tried again, with growing random waits and as late as the service asks for: an outage, a limit, no
 * answer, an answer that is not of a service of Tidemark. After the deadline the call rejects with
 * `deadline_exceeded`. What the service refuses rejects at once with its code.
 */
export interface EventPublisher<Events extends EventMap, Result extends Stored>
  extends AsyncDisposable {
  /**
   * Stores an event.
   * @throws TidemarkPublisherError (as a rejection)
   */
  publish<Type extends keyof Events & string>(
    topic: string,
    event: NewEvent<Type, Events[Type]>,
    options?: PublishOptions,
  ): Promise<Result>;
  /**
   * Stores events in order, in as few requests as `keepOrder` permits, one after the other. Their number has no
   * limit; all are in memory meanwhile, as they are sent. A request with a wrong event stores nothing, and none follows it; earlier ones are stored.
   *
   * @returns what is stored, in the order of the events
   * @throws TidemarkPublisherError (as a rejection) with `faults`, whose paths begin with the place of the event,
   *   such as `[3].time`, and `events`, those that are not known to be stored. With `conflict` and `erased` the
   *   other events of the request are stored
   */
  publishBatch(
    events: Iterable<TopicEvent<Events>>,
    options?: BatchOptions,
  ): Promise<readonly Result[]>;
  /** Stores what was given to it, and takes nothing more: `closed`. Resolves when nothing waits any more. */
  close(options?: CloseOptions): Promise<void>;
}

/** A publisher over HTTP, which has conditional appends too. */
export interface Publisher<Events extends EventMap = Record<string, unknown>>
  extends EventPublisher<Events, Published> {
  /**
   * Stores an event only where the topic's last event is the one that `ifMatch` names. A repeat after a lost
   * answer finds its own event: it resolves with `duplicate: true`, and is no conflict.
   * @throws TidemarkPublisherError (as a rejection) `precondition_failed` with the `cursor` of the topic's last event
   */
  append<Type extends keyof Events & string>(
    topic: string,
    event: NewEvent<Type, Events[Type]>,
    options: AppendOptions,
  ): Promise<Published>;
  /**
   * Reads a state, decides on an event by it, and stores the event only if nothing has come to the topic
   * meanwhile. Otherwise it reads and decides again.
   *
   * @param decide answers the event, or `undefined` where there is nothing to do
   * @returns `undefined` where `decide` gave no event
   * @throws TidemarkPublisherError (as a rejection) `precondition_failed` after `triesMax` tries; what `read` or
   *   `decide` threw
   */
  retryOnConflict<State>(
    topic: string,
    read: (hint: ReadHint) => Reading<State> | Promise<Reading<State>>,
    decide: (state: State) => EventOf<Events> | undefined | Promise<EventOf<Events> | undefined>,
    options?: RetryOptions,
  ): Promise<Published | undefined>;
}

/** What `createPublisher` takes. */
export interface HttpPublisherOptions extends PublisherOptions {
  /** The base URL of ingest, such as `http://ingest:8081`. */
  readonly url: string;
  /**
   * The token, or a function that answers a new one. The function is asked at the first event, before the token
   * expires, and when ingest has refused it. Calls at the same time share one answer. A failure counts as an
   * outage: it is asked again.
   */
  readonly token: string | (() => string | Promise<string>);
  /** Most requests on their way at one time; 8 if absent. */
  readonly requestsMax?: number;
  /** Most events of a request, and most bytes; 1,000 and 1 MiB if absent. Ingest may be configured to take less. */
  readonly requestEventsMax?: number;
  readonly requestBytesMax?: number;
}
