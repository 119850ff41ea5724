import {
  asTidemarkError,
  type CloudEvent,
  formatCursor,
  type Position,
  TidemarkError,
  type TraceContext,
} from '@tidemark/protocol';
import { type Logger, type Metrics, type Span, type Tracer, traceSend } from '@tidemark/telemetry';
import { Appender } from './appender.ts';
import { Epoch } from './epoch.ts';
import type { NatsLink } from './link.ts';

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** For a cursor that cannot be a topic's last: NATS refuses it like any other wrong one. */
const UNREACHABLE_SEQUENCE = 2 ** 52;

/** The condition of an append: the topic is empty, or its last event is the one at a position. */
export type Precondition = 'empty' | Position;

export interface EventAppenderOptions {
  /** Names the metrics: `<service>_append_seconds` and `<service>_appends_pending`. */
  readonly service: string;
  /** How long an append waits for the stream's acknowledgement. */
  readonly timeoutMs: number;
  /** Appends under way at one time; a further one gets `unavailable`. */
  readonly pendingMax: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Ends the waits for the stream. */
  readonly signal: AbortSignal;
}

export interface AppendRequest {
  readonly precondition?: Precondition | undefined;
  /** The context that travels with the event where the append has no span of its own. */
  readonly context?: TraceContext | undefined;
  /** The span that asks for the append. */
  readonly parent?: Span;
  /** `false`: the append gets no span. */
  readonly spanned?: boolean;
}

/** An event that the stream has stored, as the publisher is told of it. */
export interface AppendedEvent {
  readonly cursor: string;
  /** The stream had this `source` and `id` already: `cursor` is that of the first one. */
  readonly duplicate: boolean;
}

/**
 * Appends events to the stream: condition, cursor with the stream's epoch as of now, span and metrics.
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

  /** Whether the stream's epoch is known, without which no cursor can be given. */
  get streamKnown(): boolean {
    return this.#epoch.value !== undefined;
  }

  /**
   * Resolves once the stream has stored the event. Calls may overlap, and those of one turn of the
   * loop are stored in the order in which they were made.
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
    const epoch = this.#knownEpoch() ?? (await this.#waitForEpoch());
    const expectedLastSequence = toExpectedSequence(precondition, epoch);
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

  #knownEpoch(): string | undefined {
    if (this.#link.connected) return this.#epoch.value;
    throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1 });
  }

  async #waitForEpoch(): Promise<string> {
    const epoch = await this.#epoch.waitForValue();
    if (epoch !== undefined) return epoch;
    throw new TidemarkError('unavailable', 'The stream is not there yet.', {
      retryAfterSeconds: 1,
    });
  }
}

/** The sequence that NATS is to expect as the topic's last; `undefined` for no condition. */
function toExpectedSequence(
  precondition: Precondition | undefined,
  currentEpoch: string,
): number | undefined {
  if (precondition === undefined) return undefined;
  if (precondition === 'empty') return 0;
  const { epoch, sequence } = precondition;
  // NATS would take 0 to mean an empty topic, while a cursor with it stands for no event at all.
  return epoch === currentEpoch && sequence > 0 ? sequence : UNREACHABLE_SEQUENCE;
}
