import { decodeUtf8, fromBinaryMode, STRUCTURED_TYPE } from './binary-mode.ts';
import { asTidemarkError } from './errors.ts';
import { type CloudEvent, EVENT_BYTES_MAX, encodeEvent, parseEvent } from './events.ts';
import { contextInHeaders, isSampled, type TraceCarrier, withContext } from './trace-context.ts';

/** An event without its content: what the log knows of it beside its JSON. */
export interface EventHeader {
  readonly sequence: number;
  readonly topic: string;
  /** When the stream stored it, in milliseconds since 1970. */
  readonly timeMs: number;
}

/** An event of the log with its JSON as bytes, which is how NATS delivers it and sockets take it. */
export interface LogEvent extends EventHeader {
  readonly json: Uint8Array;
}

/** A message of the events stream, as its publisher wrote it. */
export interface StoredMessage {
  /**
   * The topic in the message's subject, which permissions were checked against; `undefined` where
   * the subject holds no valid topic.
   */
  readonly topic: string | undefined;
  readonly payload: Uint8Array;
  /** NATS headers, first value of each, names in lower case. Empty where the message has none. */
  readonly headers: ReadonlyMap<string, string>;
}

/** A message of the stream as an event, or the reason why it is none. */
export type DecodedEvent =
  /** `json`: the event on one line, its `topic` the subject's, ready for both transports. */
  | { readonly valid: true; readonly event: CloudEvent; readonly json: Uint8Array }
  | { readonly valid: false; readonly reason: string };

const LF = 10;
const CR = 13;
const OPENING_BRACE = 123;

/**
 * Reads a message of the stream as an event, in structured JSON or binary mode (`ce-` headers). Services
 * may publish past ingest, so it is checked like any other input. The subject decides the topic, because
 * the publisher's NATS permission covers the subject.
 *
 * The bytes that ingest wrote are returned unchanged, so that nothing is encoded on the fan-out path.
 */
export function decodeStored({ topic, payload, headers }: StoredMessage): DecodedEvent {
  if (topic === undefined) return { valid: false, reason: 'the subject holds no topic' };
  try {
    const binary = isBinaryMode(headers);
    const input: unknown = binary
      ? fromBinaryMode(headers, headers.get('content-type'), payload)
      : JSON.parse(decodeUtf8(payload));
    const named = typeof input === 'object' && input !== null ? (input as Named) : {};
    const sameTopic = named.topic === topic;
    if (!sameTopic) named.topic = topic;
    const origin = originOf(named, headers);
    const event = parseEvent(origin ? withContext(named, origin) : input);
    const asStored = sameTopic && !origin && !binary && isOneLine(payload);
    if (asStored && payload.length <= EVENT_BYTES_MAX) return { valid: true, event, json: payload };
    return { valid: true, event, json: encodeEvent(event) };
  } catch (error) {
    if (error instanceof SyntaxError) return { valid: false, reason: 'not JSON in UTF-8' };
    const { code, message } = asTidemarkError(error);
    return { valid: false, reason: code === 'internal' ? 'unreadable' : message };
  }
}

type Named = TraceCarrier & { topic?: unknown };

/**
 * The sampled trace of a service that published past ingest, so that clients can continue it. Ingest
 * writes the origin into the event.
 */
function originOf(event: TraceCarrier, headers: StoredMessage['headers']) {
  const traceparent = headers.get('traceparent');
  if (traceparent === undefined || event.traceparent || !isSampled(traceparent)) return undefined;
  return contextInHeaders(headers);
}

function isBinaryMode(headers: ReadonlyMap<string, string>): boolean {
  if (!headers.has('ce-specversion')) return false;
  return !headers.get('content-type')?.startsWith(STRUCTURED_TYPE);
}

/** Also refuses bytes before the object, such as a byte order mark, which decoding ignores. */
function isOneLine(bytes: Uint8Array): boolean {
  return bytes[0] === OPENING_BRACE && !bytes.includes(LF) && !bytes.includes(CR);
}
