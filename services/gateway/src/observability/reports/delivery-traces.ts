import type { LogRecord } from '@tidemark/nats';
import { contextInHeaders, formatCursor, type TraceContext } from '@tidemark/protocol';
import {
  contextOf,
  PROCESS_SPAN,
  processAttributes,
  type Span,
  type Tracer,
} from '@tidemark/telemetry';
import type { DeliveryTrace } from '../../log/event-entry.ts';

/** Most sampled events in progress at one time; further ones are not traced. */
export const DELIVERY_TRACES_MAX = 1000;

const MESSAGE_ID_HEADER = 'nats-msg-id';

export interface DeliveryTracesOptions {
  readonly tracer: Tracer;
  /** The wall clock with fractions of a millisecond, for spans. */
  readonly wallMs?: () => number;
}

/**
 * The spans of events that arrive from the stream. Each span lasts from the event's arrival to its last
 * write to a connection that was live then. An event with a context that is not sampled has no span.
 */
export class DeliveryTraces {
  readonly #tracer: Tracer;
  readonly #wallMs: () => number;
  #open = 0;

  constructor({
    tracer,
    wallMs = () => performance.timeOrigin + performance.now(),
  }: DeliveryTracesOptions) {
    this.#tracer = tracer;
    this.#wallMs = wallMs;
  }

  /** The caller completes the trace once the hub has delivered the event. */
  openTrace(record: LogRecord, epoch: string): EventDeliveryTrace | undefined {
    if (!this.#tracer.enabled) return undefined;
    const { subject, sequence, timeMs, payload, headers } = record;
    const followed = this.#tracer.follows(headers.get('traceparent'));
    if (!followed || this.#open >= DELIVERY_TRACES_MAX) return undefined;
    const id = headers.get(MESSAGE_ID_HEADER);
    const startMs = this.#wallMs();
    const span = this.#tracer.span(PROCESS_SPAN, {
      kind: 'consumer',
      parent: contextInHeaders(headers),
      startMs,
      attributes: {
        ...processAttributes({ subject, id, bytes: payload.length }),
        'tidemark.cursor': formatCursor({ epoch, sequence }),
      },
    });
    this.#open++;
    return new EventDeliveryTrace(span, {
      storedMs: timeMs,
      startMs,
      wallMs: this.#wallMs,
      onEnd: () => {
        this.#open--;
      },
    });
  }
}

interface DeliveryTraceTimes {
  readonly storedMs: number;
  readonly startMs: number;
  readonly wallMs: () => number;
  readonly onEnd: () => void;
}

/** Ends its span when the last group that queued the event has completed it. */
export class EventDeliveryTrace implements DeliveryTrace {
  readonly startMs: number;
  readonly #span: Span;
  readonly #times: DeliveryTraceTimes;
  /** The groups that have not completed it yet, plus the caller that opened it. */
  #uncompleted = 1;
  #connections = 0;
  #lastWriteMs: number | undefined;

  constructor(span: Span, times: DeliveryTraceTimes) {
    this.#span = span;
    this.#times = times;
    this.startMs = times.startMs;
  }

  /** The context for spans that are children of this one. */
  get context(): TraceContext | undefined {
    return contextOf(this.#span);
  }

  enqueued(): void {
    this.#uncompleted++;
  }

  written(connections: number): void {
    this.#connections += connections;
    this.#lastWriteMs = this.#times.wallMs();
  }

  completed(): void {
    this.#uncompleted--;
    if (this.#uncompleted > 0) return;
    const { storedMs, onEnd } = this.#times;
    const last = this.#lastWriteMs;
    this.#span.setAttribute('tidemark.connections', this.#connections);
    if (last !== undefined) {
      // The two clocks may be on two machines. A negative value shows that they differ.
      this.#span.setAttribute('tidemark.append_to_last_write_ms', last - storedMs);
    }
    this.#span.end(last);
    onEnd();
  }
}
