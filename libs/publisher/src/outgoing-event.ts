import { invalidEventError, type NamedEvent } from './errors.ts';
import { activeTrace, type TraceAttributes } from './trace.ts';
import type { EventAttributes } from './types.ts';

/** An event as it is sent, however often. */
export interface OutgoingEvent {
  readonly topic: string;
  readonly id: string;
  readonly source: string;
  /** The whole CloudEvent. */
  readonly json: string;
  /** Of `json` in UTF-8. */
  readonly bytes: number;
  readonly trace: TraceAttributes;
}

/** Refuses an event that readers would not be given. `path` is its place, as in `Completion`. */
export type Check = (event: NamedEvent, path: string) => void;

/** What an event is completed and checked with. */
export interface Completion {
  readonly source: string;
  /** For a transport behind which nobody answers what is wrong. */
  readonly check?: Check | undefined;
  /** The event's place in the caller's input, for the faults: `''`, `[3]`. */
  readonly path?: string;
}

/**
 * Completes an event: what it lacks of `id`, `source`, `time` and a trace context is added once, so that every attempt
 * sends the same. The service checks the rest.
 *
 * @throws TidemarkPublisherError `invalid_event` where it is no JSON; what `check` refuses
 */
export function completeEvent(
  topic: string,
  event: EventAttributes,
  { source, check, path = '' }: Completion,
): OutgoingEvent {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw invalidEventError(path || '$', 'must be an object');
  }
  const traced = event.traceparent === undefined ? { ...event, ...activeTrace() } : event;
  const whole = {
    ...traced,
    specversion: '1.0',
    topic,
    id: event.id ?? crypto.randomUUID(),
    source: event.source ?? source,
    time: event.time ?? new Date().toISOString(),
  };
  const json = toJson(whole, path);
  check?.(JSON.parse(json) as NamedEvent, path);
  return {
    topic,
    id: whole.id,
    source: whole.source,
    json,
    bytes: Buffer.byteLength(json),
    trace: traceHeaders(traced as EventAttributes),
  };
}

/** The trace context as headers. What no header may hold is left to the service, which says what is wrong with it. */
function traceHeaders({ traceparent, tracestate }: EventAttributes): TraceAttributes {
  if (!isHeader(traceparent)) return {};
  return { traceparent, ...(isHeader(tracestate) && { tracestate }) };
}

function isHeader(value: unknown): value is string {
  return typeof value === 'string' && /^[!-~](?:[ -~]*[!-~])?$/.test(value);
}

/** The event as its publisher may give it again. */
export function toNamedEvent({ json }: OutgoingEvent): NamedEvent {
  return JSON.parse(json) as NamedEvent;
}

function toJson(event: object, path: string): string {
  try {
    return JSON.stringify(event);
  } catch (cause) {
    throw invalidEventError(path || '$', `is no JSON: ${(cause as Error).message}`);
  }
}
