import type { LogRecord } from '@tidemark/nats';
import { contextInHeaders, formatCursor, type TraceContext } from '@tidemark/protocol';
import {
  contextOf,
  PROCESS_SPAN,
  processAttributes,
  type Span,
  type Tracer,
} from '@tidemark/telemetry';
import type { Receipt } from '../../log/event-entry.ts';

/** Sampled events that are being given to connections at one time; a further one is not followed. */
export const RECEIPTS_MAX = 1000;

const MESSAGE_ID_HEADER = 'nats-msg-id';

export interface ReceiptsOptions {
  readonly tracer: Tracer;
  /** Wall clock with fractions of a millisecond, for spans. */
  readonly wallMs?: () => number;
}

/**
 * The spans of events that arrive from the stream: from the receipt to the last write to a
 * connection that was live then. Events whose context is not sampled get none.
 */
export class Receipts {
  readonly #tracer: Tracer;
  readonly #wallMs: () => number;
  #open = 0;

  constructor({
    tracer,
    wallMs = () => performance.timeOrigin + performance.now(),
  }: ReceiptsOptions) {
    this.#tracer = tracer;
    this.#wallMs = wallMs;
  }

  /** Who opens one settles it once the event has been offered to everybody. */
  open(record: LogRecord, epoch: string): EventReceipt | undefined {
    if (!this.#tracer.enabled) return undefined;
    const { subject, sequence, timeMs, payload, headers } = record;
    const followed = this.#tracer.follows(headers.get('traceparent'));
    if (!followed || this.#open >= RECEIPTS_MAX) return undefined;
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
    return new EventReceipt(span, {
      storedMs: timeMs,
      startMs,
      wallMs: this.#wallMs,
      onEnd: () => {
        this.#open--;
      },
    });
  }
}

interface ReceiptTimes {
  readonly storedMs: number;
  readonly startMs: number;
  readonly wallMs: () => number;
  readonly onEnd: () => void;
}

/** Ends its span when the last of those who took the event has settled it. */
export class EventReceipt implements Receipt {
  readonly startMs: number;
  readonly #span: Span;
  readonly #times: ReceiptTimes;
  /** The cohorts that have yet to settle it, and whoever opened it. */
  #unsettled = 1;
  #connections = 0;
  #lastWriteMs: number | undefined;

  constructor(span: Span, times: ReceiptTimes) {
    this.#span = span;
    this.#times = times;
    this.startMs = times.startMs;
  }

  /** For spans that belong below this one. */
  get context(): TraceContext | undefined {
    return contextOf(this.#span);
  }

  taken(): void {
    this.#unsettled++;
  }

  written(connections: number): void {
    this.#connections += connections;
    this.#lastWriteMs = this.#times.wallMs();
  }

  settled(): void {
    this.#unsettled--;
    if (this.#unsettled > 0) return;
    const { storedMs, onEnd } = this.#times;
    const last = this.#lastWriteMs;
    this.#span.setAttribute('tidemark.connections', this.#connections);
    if (last !== undefined) {
      // Clocks of two machines: what is negative says that they differ.
      this.#span.setAttribute('tidemark.append_to_last_write_ms', last - storedMs);
    }
    this.#span.end(last);
    onEnd();
  }
}
