import type { IncomingMessage, ServerResponse } from 'node:http';
import { EVENT_LOOP, Steps } from '@tidemark/fairness';
import type { Holding } from '@tidemark/http';
import { spanOf } from '@tidemark/http';
import type { AppendedEvent, EventOutcome, Precondition, TogetherRequest } from '@tidemark/nats';
import {
  asTidemarkError,
  type EncodedEvent,
  type EventDefaults,
  highestCursor,
  readTraceContext,
  TidemarkError,
  type TraceContext,
} from '@tidemark/protocol';
import {
  contextOf,
  type Metrics,
  type Span,
  sampledContextOf,
  type Tracer,
} from '@tidemark/telemetry';
import { AppendWindow, type Entrant } from './append-window.ts';
import type { Appends, ConditionalRequest } from './appends.ts';
import type { PublishedEvent } from './descriptions.ts';
import type { SubmissionContext } from './event-input.ts';
import { isRefusedRepeat, oneByOne } from './one-by-one.ts';
import { Patience } from './patience.ts';
import {
  createPublisherLimits,
  type PublisherLimitOptions,
  type PublisherLimits,
} from './publisher-limits.ts';
import type { Submission } from './submission.ts';

/** The part of the time of an append that a request may wait until it begins. What is left is for the append. */
const WAITING_SHARE = 2 / 3;

/** Most events of one request that get spans of their own. */
const APPEND_SPANS_MAX = 100;

export interface PublishingOptions extends PublisherLimitOptions {
  readonly appends: Appends;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly batchEventsMax: number;
  /** The time for waiting and for the stream's acknowledgement. */
  readonly appendTimeoutMs: number;
  readonly now?: () => number;
  readonly newId?: () => string;
}

/** A request with the user whom its limits count for and who becomes the `publisher`. */
export interface Publish {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly user: string;
}

/** How long a request may still wait, and its traces. */
interface Begun {
  readonly patience: Patience;
  readonly context: TraceContext | undefined;
  readonly parent: Span;
}

/** The events of a request, checked, and the conditions of which one must hold. */
export interface Checked {
  readonly submission: Submission;
  readonly preconditions?: readonly Precondition[] | undefined;
  /** Whether each event waits until the one before of its topic is stored. */
  readonly ordered?: boolean;
}

/** Publishing: what every endpoint that takes events shares. The limits are those of all endpoints together. */
export class Publishing {
  readonly #options: PublishingOptions;
  readonly #limits: PublisherLimits;
  readonly #steps = new Steps(EVENT_LOOP);
  readonly #window: AppendWindow;
  /** How long a request may wait until its events are sent, in ms. */
  readonly #waitMsMax: number;
  readonly #refused;
  readonly #bytes;
  /** Requests that were answered with an error. */
  refusedRequests = 0;

  constructor(options: PublishingOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#limits = createPublisherLimits(options);
    this.#window = new AppendWindow(options.limits);
    this.#waitMsMax = options.appendTimeoutMs * WAITING_SHARE;
    this.#refused = metrics.counter('ingest_refused_total', 'Requests answered with an error.', [
      'code',
    ]);
    this.#bytes = metrics.counter('ingest_body_bytes_total', 'Bytes of bodies, inflated.');
  }

  /** Opens the budget for the memory of a user's body. */
  openBody(user: string): Holding {
    return this.#limits.bodies.open(user);
  }

  /** Does some milliseconds of work for a user when it is the user's turn. */
  runStep<T>({ request, user }: Pick<Publish, 'request' | 'user'>, step: () => T): Promise<T> {
    return this.#steps.run(step, { flow: { user, connection: request.socket } });
  }

  /** Counts the request where its work fails. */
  async counted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.countRefused(error);
      throw error;
    }
  }

  /** Counts a request that is refused with an error. */
  countRefused(error: unknown): void {
    this.refusedRequests++;
    this.#refused.inc({ code: asTidemarkError(error).code });
  }

  /**
   * Reads the events of a body and appends them, within the limits of the user.
   *
   * @param read checks all events
   * @throws TidemarkError that tells what is wrong, which limit is reached, or that the stream is away
   */
  async publish(
    publish: Publish,
    body: Buffer,
    read: (context: SubmissionContext) => Promise<Checked>,
  ): Promise<{ readonly submission: Submission; readonly published: PublishedEvent[] }> {
    const { user } = publish;
    const begun = this.#begin(publish, body);
    const checked = await this.#check(publish, begun, read);
    const { submission } = checked;
    this.#limits.events.consume(user, submission.events.length);
    const waiting = this.#limits.appends.open(user);
    try {
      waiting.take(submission.events.length);
      return { submission, published: await this.#appendInTurn(publish, checked, begun) };
    } finally {
      waiting.release();
    }
  }

  /** What is no part of an `async` function is not kept for as long as the stream takes: that is 1 KB for each. */
  #begin({ request, response, user }: Publish, body: Buffer): Begun {
    const patience = new Patience(this.#waitMsMax);
    this.#bytes.inc(body.length);
    this.#limits.bytes.consume(user, body.length);
    const parent = spanOf(response);
    // Events of a request without a trace name the request's own trace as their origin, if it is sampled.
    const context = readTraceContext(request.headers) ?? sampledContextOf(parent);
    return { patience, context, parent };
  }

  #check(
    publish: Publish,
    { patience, context, parent }: Begun,
    read: (context: SubmissionContext) => Promise<Checked>,
  ): Promise<Checked> {
    const runStep: SubmissionContext['runStep'] = (step) =>
      this.runStep(publish, () => {
        if (patience.leftMs === 0) throw this.#window.late();
        return patience.pausedFor(step);
      });
    const checking = { ...this.#defaults(publish.user), context, runStep };
    return this.#traced(parent, () => read(checking));
  }

  /** Traces the checking of events. */
  #traced(parent: Span, read: () => Promise<Checked>): Promise<Checked> {
    const { tracer } = this.#options;
    if (!tracer.enabled) return read();
    return tracer.within('validate', { parent }, async (span) => {
      const all = await read();
      span.setAttribute('tidemark.events', all.submission.events.length);
      return all;
    });
  }

  /** Appends the events of a request when it is the user's turn. The time that it waited counts for the append. */
  async #appendInTurn(publish: Publish, checked: Checked, begun: Begun): Promise<PublishedEvent[]> {
    const entrant = this.#entrantOf(publish, checked, begun);
    const leave = this.#window.enterNow(entrant) ?? (await this.#window.enter(entrant));
    try {
      return await this.#append(checked, begun, leave);
    } finally {
      leave();
    }
  }

  #entrantOf(
    { request, user }: Publish,
    { submission: { events }, ordered = false }: Checked,
    { patience }: Begun,
  ): Entrant {
    const flow = { user, connection: request.socket };
    // Where an order is asked for, one event of a topic is on its way at a time.
    const atOneTime = ordered ? new Set(events.map(({ topic }) => topic)).size : events.length;
    return { flow, events: atOneTime, waitMsMax: patience.leftMs };
  }

  #append(
    { submission, preconditions, ordered = false }: Checked,
    { patience, context, parent }: Begun,
    leave: () => void,
  ): Promise<PublishedEvent[]> {
    const { appends, tracer } = this.#options;
    const { batch } = submission;
    const { waitedMs } = patience;
    // Somebody may look at the span of each event, if the request is traced.
    const isTraced = sampledContextOf(parent) !== undefined;
    const isPlain = !ordered && !isTraced && preconditions === undefined;
    // While tracing is on, a single event has a span also where its trace is not sampled.
    if (isPlain && (batch || !tracer.enabled)) {
      const together = { context: contextOf(parent) ?? context, waitedMs, onAnswered: leave };
      return appendTogether(appends, submission, together);
    }
    const each = { preconditions, context, parent, ordered, waitedMs };
    return appendEach(appends, submission, batch ? each : { ...each, onAnswered: leave });
  }

  #defaults(publisher: string): EventDefaults & Pick<PublishingOptions, 'batchEventsMax'> {
    const { now = Date.now, newId = () => crypto.randomUUID(), batchEventsMax } = this.#options;
    return { publisher, nowMs: now(), newId, batchEventsMax };
  }
}

/**
 * Appends in order, without waiting between events unless that is asked for. When NATS fails during a batch, the answer is that
 * failure. Sending the whole batch again is safe, because the stream recognises the stored events.
 */
async function appendEach(
  appends: Appends,
  submission: Submission,
  { ordered, ...request }: ConditionalRequest & { readonly ordered: boolean },
): Promise<PublishedEvent[]> {
  const inTurn = ordered ? oneByOne<EventOutcome>() : atOnce;
  const outcomes = await Promise.all(
    submission.events.map((event, index) => {
      const spanned = index < APPEND_SPANS_MAX;
      return inTurn(event.topic, () => appends.append(event, { ...request, spanned })).catch(
        asTidemarkError,
      );
    }),
  );
  return toAnswer(submission, outcomes);
}

/** The same for events without conditions that nobody traces: they go out in one piece. */
async function appendTogether(
  appends: Appends,
  submission: Submission,
  request: TogetherRequest,
): Promise<PublishedEvent[]> {
  return toAnswer(submission, await appends.appendAll(submission.events, request));
}

/** @throws TidemarkError for all where an event is not stored */
function toAnswer(
  { batch, events }: Submission,
  outcomes: readonly EventOutcome[],
): PublishedEvent[] {
  const published: PublishedEvent[] = [];
  for (let index = 0; index < outcomes.length; index++) {
    const outcome = outcomes[index] as EventOutcome;
    if (outcome instanceof Error) throw toRefusal(outcomes, batch);
    published.push(toPublished(events[index] as EncodedEvent, outcome));
  }
  return published;
}

/** The error of a request of which an event is not stored. */
function toRefusal(outcomes: readonly EventOutcome[], batch: boolean): TidemarkError {
  const errors = outcomes.map((one) => (one instanceof Error ? one : undefined));
  // A repeat that is refused tells that all other events are stored, so a failure that may pass comes first.
  const failure = errors.find((error) => error && !isRefusedRepeat(error));
  if (failure) return failure;
  const [refused] = errors.flatMap((error) => error ?? []);
  const faults = errors.flatMap((error, index) => {
    return error ? [{ path: `[${index}]`, message: error.message }] : [];
  });
  const cursors = outcomes.flatMap((one) => {
    if (!(one instanceof Error)) return one.cursor;
    return one.details.cursor ?? [];
  });
  const cursor = highestCursor(cursors);
  return new TidemarkError(refused?.code ?? 'conflict', refused?.message ?? '', {
    ...(batch && { faults }),
    ...(cursor !== undefined && { cursor }),
  });
}

function toPublished(
  { id, source, topic }: EncodedEvent,
  { cursor, duplicate }: AppendedEvent,
): PublishedEvent {
  return { id, source, topic, cursor, duplicate };
}

function atOnce<T>(_topic: string, store: () => Promise<T>): Promise<T> {
  return store();
}
