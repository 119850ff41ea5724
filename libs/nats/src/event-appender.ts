import {
  asTidemarkError,
  type CloudEvent,
  type EncodedEvent,
  formatCursor,
  type Lineage,
  type Position,
  TidemarkError,
  type TraceContext,
  toEncoded,
  toPresent,
} from '@tidemark/protocol';
import {
  Histogram,
  type Logger,
  type Metrics,
  type Span,
  type Tracer,
  traceSend,
} from '@tidemark/telemetry';
import { type AppendClock, PROCESS_CLOCK } from './append-clock.ts';
import { type Appended, Appender, type AppendOutcome } from './appender.ts';
import { Epoch } from './epoch.ts';
import type { NatsLink } from './link.ts';
import { ConflictError } from './originals.ts';
import { refusalError } from './refusals.ts';
import { RetryBudget } from './retry-budget.ts';
import { type StoreFault, StoreWatch } from './store-watch.ts';

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The condition for cursors that cannot match. NATS refuses it like any other wrong sequence. */
const UNREACHABLE_SEQUENCE = 2 ** 52;

/** The condition of an append: the topic is empty, or its last event is the one at a position. */
export type Precondition = 'empty' | Position;

/** The limits of an event appender, and what it reports to. */
export interface EventAppenderOptions {
  /**
   * Names the metrics: `<service>_append_seconds`, `<service>_appends_pending` and
   * `<service>_store_fault`.
   */
  readonly service: string;
  /** How long an append may take, with all of its attempts. */
  readonly timeoutMs: number;
  /** Most appends under way at one time; a further one gets `unavailable`. */
  readonly pendingMax: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Ends the waits for the stream. */
  readonly signal: AbortSignal;
  /** The process's own if absent. */
  readonly clock?: AppendClock;
}

/** The condition of one append, and how it is traced. */
export interface AppendRequest {
  readonly precondition?: Precondition | undefined;
  /** The trace context of the message where the append has no span of its own. */
  readonly context?: TraceContext | undefined;
  /** The span that asks for the append. */
  readonly parent?: Span;
  /** Whether the append gets a span; true if absent. */
  readonly spanned?: boolean;
  /** How much of its time the append has spent already, in ms. */
  readonly waitedMs?: number;
  /** Called when the stream has answered each attempt, before what it answered is looked into. */
  readonly onAnswered?: () => void;
}

/** How events that go out together are appended. */
export type TogetherRequest = Pick<AppendRequest, 'context' | 'waitedMs' | 'onAnswered'>;

/** An event that the stream has stored, as the publisher is told of it. */
export interface AppendedEvent {
  readonly cursor: string;
  /** Whether the stream had this `source` and `id` already. `cursor` is then that of the first. */
  readonly duplicate: boolean;
}

/** What became of one of several events. */
export type EventOutcome = AppendedEvent | TidemarkError;

/**
 * Appends events to the stream for ingest, gateway and replay, with conditions, spans and metrics. The cursor
 * of the answer has the epoch in which the stream stored the event.
 *
 * @example
 * const { cursor } = await appender.append(event, { precondition: 'empty' });
 */
export class EventAppender {
  readonly #link: NatsLink;
  readonly #appender: Appender;
  readonly #epoch: Epoch;
  readonly #watch: StoreWatch;
  readonly #tracer: Tracer;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #clock: AppendClock;
  /** How long appends took, in seconds, from their begin to their end. */
  readonly seconds = new Histogram(LATENCY_BUCKETS_SECONDS);

  constructor(link: NatsLink, options: EventAppenderOptions) {
    const { service, metrics, logger, signal, clock = PROCESS_CLOCK } = options;
    this.#link = link;
    this.#watch = new StoreWatch({ link, logger, signal, clock });
    this.#appender = new Appender(link, { ...options, watch: this.#watch });
    this.#epoch = new Epoch(link, {
      logger,
      signal,
      clock,
      isStored: (append) => this.#appender.isStored(append, this.#budget()),
    });
    this.#tracer = options.tracer;
    this.#timeoutMs = options.timeoutMs;
    this.#signal = signal;
    this.#clock = clock;
    metrics.keptHistogram(`${service}_append_seconds`, 'From append to its end.', this.seconds);
    metrics.gauge(
      `${service}_appends_pending`,
      'Appends waiting for their acknowledgement.',
      () => this.#appender.pending,
    );
    metrics.gaugeBy(
      {
        name: `${service}_store_fault`,
        help: 'Whether the stream stores no events, by why: 1 while it lasts.',
        label: 'fault',
      },
      () => this.#watch.faults,
    );
  }

  /** Whether the stream's epoch is known. Without it no append is accepted. */
  get streamKnown(): boolean {
    return this.#epoch.value !== undefined;
  }

  /** Why the stream stores nothing, as far as the appends of this process show; `ok` where it does. */
  get store(): StoreFault | 'ok' {
    return this.#watch.fault ?? 'ok';
  }

  /** Whether the stream stores what it is given, as far as the appends of this process show. */
  get storing(): boolean {
    return this.#watch.storing;
  }

  /**
   * Encodes an event and appends it.
   *
   * @throws TidemarkError as `encodeEvent` and `appendEncoded`
   */
  async append(event: CloudEvent, request: AppendRequest = {}): Promise<AppendedEvent> {
    return this.appendEncoded(toEncoded(event), request);
  }

  /**
   * Appends an event, and resolves when the stream has stored it. Calls may overlap. The stream keeps the
   * order of calls that are made in one turn of the loop.
   *
   * @throws TidemarkError `unavailable`, or with a cursor `precondition_failed` or `conflict`
   */
  async appendEncoded(event: EncodedEvent, request: AppendRequest = {}): Promise<AppendedEvent> {
    const { parent, spanned = true } = request;
    const startMs = performance.now();
    try {
      if (!this.#tracer.enabled || !spanned) return await this.#append(event, request);
      const append = (context?: TraceContext) => this.#append(event, { ...request, context });
      return await traceSend(this.#tracer, { event, parent, append });
    } catch (error) {
      throw error instanceof ConflictError ? await this.#withCursor(error) : error;
    } finally {
      this.seconds.observe((performance.now() - startMs) / 1000);
    }
  }

  /**
   * Appends events that go out together, in their order, without conditions and spans. None depends on another.
   *
   * @param request the trace context of all messages; each event's own if absent
   * @returns what became of each: errors as of `appendEncoded`
   * @throws TidemarkError `unavailable` where none was sent
   */
  async appendAll(
    events: readonly EncodedEvent[],
    { context, waitedMs, onAnswered }: TogetherRequest = {},
  ): Promise<readonly EventOutcome[]> {
    if (events.length === 0) return [];
    const startMs = performance.now();
    try {
      if (!this.#knownLineage()) await this.#waitForLineage();
      const epochs = new Array<string | undefined>(events.length);
      const outcomes = await this.#appender.appendAll(events, {
        context,
        ...(onAnswered && { onAnswered }),
        budget: this.#budget(waitedMs),
        onStored: (appended, index) => {
          epochs[index] = this.#epoch.noteStored(appended);
        },
      });
      return await allOf(outcomes, (outcome, index) => {
        const epoch = epochs[index];
        if (epoch === undefined || outcome instanceof Error) return this.#toOutcome(outcome);
        return { cursor: formatCursor({ epoch, sequence: outcome.sequence }), duplicate: false };
      });
    } finally {
      this.seconds.observe((performance.now() - startMs) / 1000, events.length);
    }
  }

  /** The answer to an append that was not plainly stored. */
  async #toOutcome(outcome: AppendOutcome): Promise<EventOutcome> {
    if (outcome instanceof ConflictError) return this.#withCursor(outcome);
    if (outcome instanceof Error) return outcome;
    return this.#toAnswer(outcome, undefined).catch(asTidemarkError);
  }

  /** It names a stored event of the same publisher. */
  async #withCursor({ message, sequence }: ConflictError): Promise<TidemarkError> {
    const cursor = await this.#cursorOf(sequence).catch(() => undefined);
    return new TidemarkError('conflict', message, { ...(cursor && { cursor }) });
  }

  /**
   * The cursor of the last event of a topic that the stream holds, as the server says that leads it; `null` where the
   * stream holds none.
   *
   * @throws TidemarkError `unavailable`
   */
  async lastCursor(topic: string): Promise<string | null> {
    if (!this.#knownLineage()) await this.#waitForLineage();
    const sequence = await this.#appender.lastSequence(topic, this.#budget());
    return sequence === 0 ? null : this.#cursorOf(sequence);
  }

  async #append(event: EncodedEvent, request: AppendRequest): Promise<AppendedEvent> {
    const budget = this.#budget(request.waitedMs);
    for (;;) {
      const appended = await this.#attempt(event, request, budget);
      if (appended) return appended;
      if (!(await budget.pause())) throw refusalError('in_process');
    }
  }

  /** @returns `undefined` where the stream refused a condition that is right */
  async #attempt(
    event: EncodedEvent,
    { precondition, context, onAnswered }: AppendRequest,
    budget: RetryBudget,
  ): Promise<AppendedEvent | undefined> {
    const lineage = this.#knownLineage() ?? (await this.#waitForLineage());
    const expectedLastSequence = toExpectedSequence(precondition, lineage);
    let epoch: string | undefined;
    try {
      return await this.#toAnswer(
        await this.#appender.append(event, {
          ...(expectedLastSequence !== undefined && { expectedLastSequence }),
          context,
          budget,
          ...(onAnswered && { onAnswered }),
          onStored: (appended) => {
            epoch = this.#epoch.noteStored(appended);
          },
        }),
        epoch,
      );
    } catch (error) {
      const refused = asTidemarkError(error).code === 'precondition_failed';
      if (!refused || expectedLastSequence === undefined) throw error;
      return this.#explainRefusal(event, expectedLastSequence, budget);
    }
  }

  /**
   * A refused condition: the event is stored already, or another event is the topic's last. If neither is
   * true, the condition is right, and nobody may be told otherwise.
   *
   * @returns `undefined` for a condition that is right
   */
  async #explainRefusal(
    event: EncodedEvent,
    expectedLastSequence: number,
    budget: RetryBudget,
  ): Promise<AppendedEvent | undefined> {
    const [earlier, last] = await Promise.all([
      this.#appender.findEarlierAppend(event, expectedLastSequence, budget),
      this.#appender.lastSequence(event.topic, budget),
    ]);
    if (earlier !== undefined) return { cursor: await this.#cursorOf(earlier), duplicate: true };
    if (last === expectedLastSequence) return undefined;
    const compared = { expected: expectedLastSequence, found: last };
    const isReachable = expectedLastSequence < UNREACHABLE_SEQUENCE;
    if (isReachable && (await this.#appender.isBehind(event.topic, compared, budget))) {
      return undefined;
    }
    const cursor = last === 0 ? null : await this.#cursorOf(last);
    const found = cursor === null ? 'has no event' : `is at ${cursor}`;
    throw new TidemarkError('precondition_failed', `The topic ${event.topic} ${found}.`, {
      cursor,
    });
  }

  /** @param known the epoch in which the stream stored it, if that was known */
  async #toAnswer(appended: Appended, known: string | undefined): Promise<AppendedEvent> {
    const { sequence, duplicate } = appended;
    const epoch = known ?? (await this.#epochOf(appended));
    return { cursor: formatCursor({ epoch, sequence }), duplicate };
  }

  #epochOf(appended: Appended): Promise<string> {
    return appended.duplicate ? this.#epoch.now() : this.#epoch.ofStored(appended);
  }

  async #cursorOf(sequence: number): Promise<string> {
    return formatCursor({ epoch: await this.#epoch.now(), sequence });
  }

  #budget(waitedMs = 0): RetryBudget {
    return new RetryBudget(this.#timeoutMs - waitedMs, this.#signal, this.#clock);
  }

  #knownLineage(): Lineage | undefined {
    if (this.#link.connected) return this.#epoch.value;
    throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1 });
  }

  async #waitForLineage(): Promise<Lineage> {
    const lineage = await this.#epoch.waitForValue();
    if (lineage !== undefined) return lineage;
    throw new TidemarkError('unavailable', 'The epoch of the stream is not known yet.', {
      retryAfterSeconds: 1,
    });
  }
}

/** Like `Promise.all` of what `map` makes; it waits for nothing where nothing is a promise. */
function allOf<T, R>(
  items: readonly T[],
  map: (item: T, index: number) => R | Promise<R>,
): readonly R[] | Promise<readonly R[]> {
  const mapped = items.map(map);
  if (mapped.some((one) => one instanceof Promise)) return Promise.all(mapped);
  return mapped as R[];
}

/** The sequence that NATS is to expect as the topic's last; `undefined` for no condition. */
function toExpectedSequence(
  precondition: Precondition | undefined,
  lineage: Lineage,
): number | undefined {
  if (precondition === undefined) return undefined;
  if (precondition === 'empty') return 0;
  const present = toPresent(lineage, precondition);
  // To NATS 0 means an empty topic, but a cursor with 0 names no event.
  const names = present && !present.lost && present.sequence > 0;
  return names ? present.sequence : UNREACHABLE_SEQUENCE;
}
