import { Appender, type NatsLink } from '@tidemark/nats';
import {
  asTidemarkError,
  type CloudEvent,
  formatCursor,
  TidemarkError,
  type TraceContext,
} from '@tidemark/protocol';
import { type Logger, type Metrics, type Span, type Tracer, traceSend } from '@tidemark/telemetry';
import { findEarlierAppend } from './earlier-append.ts';
import { Epoch } from './epoch.ts';
import type { Precondition } from './precondition.ts';

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** For a cursor that cannot be anybody's last: NATS refuses it like any other that is not. */
const UNREACHABLE_SEQUENCE = 2 ** 52;

export interface EventLogOptions {
  readonly appendTimeoutMs: number;
  readonly appendsMax: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
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

export interface Stored {
  readonly cursor: string;
  readonly duplicate: boolean;
}

/** The log as ingest writes it: refuses at once while NATS or the stream is not there. */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #results;
  readonly #seconds;
  #open:
    | { readonly link: NatsLink; readonly appender: Appender; readonly epoch: Epoch }
    | undefined;

  constructor(options: EventLogOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#results = metrics.counter('ingest_events_total', 'Appends by how they ended.', [
      'result',
    ]);
    this.#seconds = metrics.histogram('ingest_append_seconds', 'From append to its end.', {
      buckets: LATENCY_BUCKETS_SECONDS,
    });
    metrics.gauge(
      'ingest_appends_pending',
      'Appends waiting for their acknowledgement.',
      () => this.#open?.appender.pending ?? 0,
    );
  }

  /** Writes over this link from now on. The signal ends the waits for the stream. */
  open(link: NatsLink, signal: AbortSignal): void {
    const { appendTimeoutMs, appendsMax, log } = this.#options;
    const appender = new Appender(link, { timeoutMs: appendTimeoutMs, pendingMax: appendsMax });
    this.#open = { link, appender, epoch: new Epoch(link, log, signal) };
  }

  get connected(): boolean {
    return this.#open?.link.connected ?? false;
  }

  get streamKnown(): boolean {
    return this.#open?.epoch.value !== undefined;
  }

  /**
   * Resolves once the stream has stored the event. Calls may overlap, and those of one tick are
   * stored in the order in which they were made.
   *
   * @throws TidemarkError `unavailable`, `too_large` or `precondition_failed`
   */
  async append(event: CloudEvent, request: AppendRequest = {}): Promise<Stored> {
    const endTimer = this.#seconds.startTimer();
    try {
      const stored = await this.#trace(event, request);
      this.#results.inc({ result: stored.duplicate ? 'duplicate' : 'stored' });
      return stored;
    } catch (error) {
      this.#results.inc({ result: asTidemarkError(error).code });
      throw error;
    } finally {
      endTimer();
    }
  }

  async #trace(event: CloudEvent, request: AppendRequest): Promise<Stored> {
    const { tracer } = this.#options;
    const { parent, spanned = true } = request;
    if (!tracer.enabled || !spanned) return this.#append(event, request);
    const append = (context?: TraceContext) => this.#append(event, { ...request, context });
    return traceSend(tracer, { event, parent, append });
  }

  async #append(event: CloudEvent, { precondition, context }: AppendRequest): Promise<Stored> {
    const { appender, epoch } = this.#require();
    const expectedLastSequence = toExpectedSequence(precondition, epoch.value);
    try {
      const appended = await appender.append(event, {
        ...(expectedLastSequence !== undefined && { expectedLastSequence }),
        context,
      });
      const { sequence, duplicate } = appended;
      return { cursor: formatCursor({ epoch: await epoch.of(appended), sequence }), duplicate };
    } catch (error) {
      const refused = asTidemarkError(error).code === 'precondition_failed';
      if (!refused || expectedLastSequence === undefined) throw error;
      return this.#explainRefusal(event, expectedLastSequence);
    }
  }

  /** A refused condition: the event is stored already, or another event is the topic's last. */
  async #explainRefusal(event: CloudEvent, expectedLastSequence: number): Promise<Stored> {
    const { link, appender, epoch } = this.#require();
    const timeoutMs = this.#options.appendTimeoutMs;
    const [earlier, last] = await Promise.all([
      findEarlierAppend(link, event, { expectedLastSequence, timeoutMs }),
      appender.lastSequence(event.topic),
    ]);
    const sequence = earlier ?? last;
    const cursor =
      sequence === 0
        ? null
        : formatCursor({ epoch: await epoch.of({ sequence, duplicate: true }), sequence });
    if (earlier !== undefined && cursor !== null) return { cursor, duplicate: true };
    const found = cursor === null ? 'has no event' : `is at ${cursor}`;
    throw new TidemarkError('precondition_failed', `The topic ${event.topic} ${found}.`, {
      cursor,
    });
  }

  #require() {
    const open = this.#open;
    if (open?.link.connected && open.epoch.value !== undefined) return open;
    const missing = open?.link.connected ? 'The stream is not there yet.' : 'NATS is away.';
    throw new TidemarkError('unavailable', missing, { retryAfterSeconds: 1 });
  }
}

/** The sequence that NATS is to expect as the topic's last; `undefined` for no condition. */
function toExpectedSequence(
  precondition: Precondition | undefined,
  currentEpoch: string | undefined,
): number | undefined {
  if (precondition === undefined) return undefined;
  if (precondition === 'empty') return 0;
  const { epoch, sequence } = precondition;
  // NATS would take 0 to mean an empty topic, while a cursor with it stands for no event at all.
  return epoch === currentEpoch && sequence > 0 ? sequence : UNREACHABLE_SEQUENCE;
}
