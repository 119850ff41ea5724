import {
  asTidemarkError,
  type CloudEvent,
  formatCursor,
  type Lineage,
  type Position,
  TidemarkError,
  type TraceContext,
  toPresent,
} from '@tidemark/protocol';
import { type Logger, type Metrics, type Span, type Tracer, traceSend } from '@tidemark/telemetry';
import { Appender } from './appender.ts';
import { Epoch } from './epoch.ts';
import type { NatsLink } from './link.ts';

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The condition for cursors that cannot match. NATS refuses it like any other wrong sequence. */
const UNREACHABLE_SEQUENCE = 2 ** 52;

/** The condition of an append: the topic is empty, or its last event is the one at a position. */
export type Precondition = 'empty' | Position;

/** The limits of an event appender, and what it reports to. */
export interface EventAppenderOptions {
  /** Names the metrics: `<service>_append_seconds` and `<service>_appends_pending`. */
  readonly service: string;
  /** How long an append waits for the stream's acknowledgement. */
  readonly timeoutMs: number;
  /** Most appends under way at one time; a further one gets `unavailable`. */
  readonly pendingMax: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Ends the waits for the stream. */
  readonly signal: AbortSignal;
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
}

/** An event that the stream has stored, as the publisher is told of it. */
export interface AppendedEvent {
  readonly cursor: string;
  /** Whether the stream had this `source` and `id` already. `cursor` is then that of the first. */
  readonly duplicate: boolean;
}

/**
 * Appends events to the stream for ingest and the gateway, with conditions, spans and metrics. The cursor
 * of the answer has the epoch in which the stream stored the event.
 *
 * @example
 * const { cursor } = await appender.append(event, { precondition: 'empty' });
 */
export class EventAppender {
  readonly #link: NatsLink;
  readonly #appender: Appender;
  readonly #epoch: Epoch;
  readonly #tracer: Tracer;
  readonly #seconds;

  constructor(link: NatsLink, options: EventAppenderOptions) {
    const { service, metrics, logger, signal } = options;
    this.#link = link;
    this.#appender = new Appender(link, options);
    this.#epoch = new Epoch(link, logger, signal);
    this.#tracer = options.tracer;
    this.#seconds = metrics.histogram(`${service}_append_seconds`, 'From append to its end.', {
      buckets: LATENCY_BUCKETS_SECONDS,
    });
    metrics.gauge(
      `${service}_appends_pending`,
      'Appends waiting for their acknowledgement.',
      () => this.#appender.pending,
    );
  }

  /** Whether the stream's epoch is known. Without it no append is accepted. */
  get streamKnown(): boolean {
    return this.#epoch.value !== undefined;
  }

  /**
   * Appends an event, and resolves when the stream has stored it. Calls may overlap. The stream keeps the
   * order of calls that are made in one turn of the loop.
   *
   * @throws TidemarkError `unavailable`, `too_large` or `precondition_failed`
   */
  async append(event: CloudEvent, request: AppendRequest = {}): Promise<AppendedEvent> {
    const { parent, spanned = true } = request;
    const endTimer = this.#seconds.startTimer();
    try {
      if (!this.#tracer.enabled || !spanned) return await this.#append(event, request);
      const append = (context?: TraceContext) => this.#append(event, { ...request, context });
      return await traceSend(this.#tracer, { event, parent, append });
    } finally {
      endTimer();
    }
  }

  async #append(
    event: CloudEvent,
    { precondition, context }: AppendRequest,
  ): Promise<AppendedEvent> {
    const lineage = this.#knownLineage() ?? (await this.#waitForLineage());
    const expectedLastSequence = toExpectedSequence(precondition, lineage);
    try {
      const appended = await this.#appender.append(event, {
        ...(expectedLastSequence !== undefined && { expectedLastSequence }),
        context,
      });
      const { sequence, duplicate } = appended;
      const position = { epoch: await this.#epoch.of(appended), sequence };
      return { cursor: formatCursor(position), duplicate };
    } catch (error) {
      const refused = asTidemarkError(error).code === 'precondition_failed';
      if (!refused || expectedLastSequence === undefined) throw error;
      return this.#explainRefusal(event, expectedLastSequence);
    }
  }

  /** A refused condition: the event is stored already, or another event is the topic's last. */
  async #explainRefusal(event: CloudEvent, expectedLastSequence: number): Promise<AppendedEvent> {
    const [earlier, last] = await Promise.all([
      this.#appender.findEarlierAppend(event, expectedLastSequence),
      this.#appender.lastSequence(event.topic),
    ]);
    const sequence = earlier ?? last;
    const cursor =
      sequence === 0
        ? null
        : formatCursor({ epoch: await this.#epoch.of({ sequence, duplicate: true }), sequence });
    if (earlier !== undefined && cursor !== null) return { cursor, duplicate: true };
    const found = cursor === null ? 'has no event' : `is at ${cursor}`;
    throw new TidemarkError('precondition_failed', `The topic ${event.topic} ${found}.`, {
      cursor,
    });
  }

  #knownLineage(): Lineage | undefined {
    if (this.#link.connected) return this.#epoch.value;
    throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1 });
  }

  async #waitForLineage(): Promise<Lineage> {
    const lineage = await this.#epoch.waitForValue();
    if (lineage !== undefined) return lineage;
    throw new TidemarkError('unavailable', 'The stream does not exist yet.', {
      retryAfterSeconds: 1,
    });
  }
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
