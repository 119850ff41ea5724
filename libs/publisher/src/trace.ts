import { isSpanContextValid, trace } from '@opentelemetry/api';

/** A W3C trace context, as attributes of an event and as headers. */
export interface TraceAttributes {
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/**
 * The context of the OpenTelemetry span that is active now; nothing without one. It needs no propagator, so that it is
 * W3C's form (PROTOCOL.md section 3) whatever the process sends to others.
 */
export function activeTrace(): TraceAttributes {
  const context = trace.getActiveSpan()?.spanContext();
  if (!context || !isSpanContextValid(context)) return {};
  const { traceId, spanId, traceFlags, traceState } = context;
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0');
  const tracestate = traceState?.serialize();
  return { traceparent: `00-${traceId}-${spanId}-${flags}`, ...(tracestate && { tracestate }) };
}
