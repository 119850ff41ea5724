import { type CloudEvent, encodeEvent } from './events.ts';
import { readTraceContext, type TraceContext } from './trace-context.ts';

/**
 * An event that has been checked, as it goes to the stream: its JSON, and the attributes that are needed beside it. So
 * an event is encoded once, and whoever has checked its bytes need not make an object of all of it.
 */
export interface EncodedEvent {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly publisher?: string | undefined;
  /** The trace context of its attributes, where they have a well-formed one. */
  readonly trace?: TraceContext | undefined;
  /** The JSON as `encodeEvent` writes it, within its limits. It may be a view; nobody may write to it. */
  readonly json: Uint8Array;
}

/**
 * Encodes an event.
 *
 * @throws TidemarkError as `encodeEvent`
 */
export function toEncoded(event: CloudEvent): EncodedEvent {
  const { id, source, topic, publisher } = event;
  return { id, source, topic, publisher, trace: readTraceContext(event), json: encodeEvent(event) };
}
