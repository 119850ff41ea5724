import {
  type CloudEvent,
  encodeEvent,
  parseEvent,
  readTraceContext,
  requirePublishable,
  withContext,
} from '@tidemark/protocol';
import { activeTrace } from '../trace.ts';

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
    ...withContext(withoutAbsent(event), readTraceContext({ ...activeTrace() })),
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
