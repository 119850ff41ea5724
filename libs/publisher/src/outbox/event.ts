import { isSpanContextValid, trace } from '@opentelemetry/api';
import {
  type CloudEvent,
  encodeEvent,
  parseEvent,
  readTraceContext,
  requirePublishable,
  type TraceContext,
  withContext,
} from '@tidemark/protocol';

/**
 * An event to publish. `source` may come from the outbox, `id` and `time` are made where they are absent, and without
 * `topic` the type is the topic (PROTOCOL.md section 3). Further names are extension attributes.
 */
export interface OutboxEvent {
  readonly type: string;
  readonly topic?: string;
  readonly source?: string;
  readonly id?: string;
  /** RFC 3339. */
  readonly time?: string;
  /** Anything that JSON has. */
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}

/**
 * Completes an event, and checks it by the rules of the services.
 *
 * @param source of events that name none
 * @throws TidemarkError `invalid_event`, `invalid_topic`, `forbidden` or `too_large`
 */
export function toEvent(event: OutboxEvent, source: string | undefined, nowMs: number): CloudEvent {
  const whole = parseEvent({
    specversion: '1.0',
    id: crypto.randomUUID(),
    time: new Date(nowMs).toISOString(),
    ...(source !== undefined && { source }),
    ...withContext(withoutAbsent(event), activeContext()),
  });
  requirePublishable(whole, nowMs);
  // For its limits alone.
  encodeEvent(whole);
  return whole;
}

/** `undefined` and `null` count as absent, so that they take no default away; `data` may be `null`. */
function withoutAbsent(event: OutboxEvent): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(event).filter(
      ([name, value]) => (name === 'data' ? value : (value ?? undefined)) !== undefined,
    ),
  );
}

/** The trace context of the active span of OpenTelemetry; `undefined` where there is none. */
function activeContext(): TraceContext | undefined {
  const context = trace.getActiveSpan()?.spanContext();
  if (!context || !isSpanContextValid(context)) return undefined;
  const { traceId, spanId, traceFlags, traceState } = context;
  const flags = traceFlags.toString(16).padStart(2, '0');
  return readTraceContext({
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    tracestate: traceState?.serialize(),
  });
}
