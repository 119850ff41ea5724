import type { SpanContext } from '@opentelemetry/api';

/** W3C Trace Context, section 3.2. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-[!-~]{0,100})?$/;

/** Where the flags stand: after the version and both ids. */
const FLAGS_AT = 53;

/** One that is malformed counts as absent, as section 4.3 has it. */
export function parseTraceparent(text: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

/** Reads the request header of that name. */
export function readTraceparent(headers: {
  readonly traceparent?: unknown;
  readonly [name: string]: unknown;
}): string | undefined {
  const { traceparent } = headers;
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined;
}

/** Whether the sampled flag is set; looks at two characters, since gateways ask for each event. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(FLAGS_AT, FLAGS_AT + 2), 16) & 1) === 1;
}
