/** A W3C trace context, as HTTP headers, NATS headers and an event's attributes carry it. */
export interface TraceContext {
  readonly traceparent: string;
  /** Data of the tracing systems, which is passed on unchanged. */
  readonly tracestate?: string;
}

/** Headers or event attributes, which may hold a trace context. */
export interface TraceCarrier {
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
  readonly [name: string]: unknown;
}

/** W3C Trace Context, section 3.2: version, trace, span, flags; later versions may append. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,100})?$/;

/** Section 3.3.1.5: 512 characters must be passed on. A longer value is dropped. */
const TRACESTATE = /^(?=.*=)[\t -~]{1,512}$/;

/** Where the flags stand: after the version and both ids. */
const FLAGS_AT = 53;

/**
 * The trace context of a request or an event. A malformed `traceparent` counts as absent (section 4.3),
 * and so does the `tracestate` beside it.
 */
export function readTraceContext({
  traceparent,
  tracestate,
}: TraceCarrier): TraceContext | undefined {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return undefined;
  const isPassedOn = typeof tracestate === 'string' && TRACESTATE.test(tracestate);
  return isPassedOn ? { traceparent, tracestate } : { traceparent };
}

/** Whether the sampled flag is set. It parses two characters, because gateways ask for each event. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(FLAGS_AT, FLAGS_AT + 2), 16) & 1) === 1;
}

/**
 * The trace context of a request from somebody who may not have it traced: its ids are known, so that log
 * lines name them, and its sampled flag is not.
 */
export function readUnsampledContext(carrier: TraceCarrier): TraceContext | undefined {
  const context = readTraceContext(carrier);
  return context && { ...context, traceparent: `${context.traceparent.slice(0, FLAGS_AT)}00` };
}

/**
 * The trace context in the headers of a NATS message; `undefined` where they hold none.
 *
 * @param headers the first value of each, names in lower case
 */
export function contextInHeaders(headers: ReadonlyMap<string, string>): TraceContext | undefined {
  const traceparent = headers.get('traceparent');
  if (traceparent === undefined) return undefined;
  return readTraceContext({ traceparent, tracestate: headers.get('tracestate') });
}

/**
 * Adds a trace context to an event that has none.
 *
 * @returns the event, or a copy with the context
 */
export function withContext(event: TraceCarrier, context: TraceContext | undefined): TraceCarrier {
  if (!context || (event.traceparent ?? undefined) !== undefined) return event;
  // A `tracestate` without its `traceparent` belongs to no trace.
  const { tracestate: _, ...rest } = event;
  return { ...rest, ...context };
}
