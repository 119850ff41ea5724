import { decodeUtf8, fromBinaryMode, type Header } from './binary-mode.ts';
import { asTidemarkError, TidemarkError } from './errors.ts';
import { encodeEvent, parseEvent } from './events.ts';
import { parseExact } from './exact-json.ts';
import { refuseCostlyText } from './json-text.ts';
import { isReservedTopic } from './reserved-topics.ts';
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

/**
 * What is known about who wrote a message:
 *
 * - `sealed`: one of Tidemark's services, which has checked it
 * - `earlier`: nothing, because the stream stored it before there were seals. Its `publisher` is believed
 * - `none`: somebody else, who may publish past ingest
 */
export type Trust = 'sealed' | 'earlier' | 'none';

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
  readonly trust: Trust;
}

/** A message of the stream as an event, or the reason why it is none. */
export type DecodedEvent =
  /** `json`: the event on one line, its `topic` the subject's, ready for both transports. */
  | { readonly valid: true; readonly json: Uint8Array }
  | { readonly valid: false; readonly reason: string };

/**
 * Reads a message of the stream as an event. What a service has sealed is returned unread, so that the
 * fan-out path neither parses nor encodes.
 *
 * Any other message may hold anything: it is structured JSON or in binary mode (`ce-` headers), is checked
 * as ingest checks a body, and is encoded anew, so that nothing reaches a reader that was not checked. The
 * subject decides the topic, because the publisher's NATS permission covers the subject. Nobody vouches for
 * its `publisher`, which is removed.
 */
export function decodeStored(message: StoredMessage): DecodedEvent {
  const { topic, payload, headers, trust } = message;
  if (topic === undefined) return { valid: false, reason: 'the subject holds no topic' };
  if (trust !== 'sealed' && isReservedTopic(topic)) {
    return { valid: false, reason: 'no service has written to this reserved topic' };
  }
  const origin = sampledOrigin(headers);
  if (trust === 'sealed' && !origin) return { valid: true, json: payload };
  try {
    const input = readInput(headers, payload);
    if (trust === 'sealed' && input.traceparent) return { valid: true, json: payload };
    const { publisher, ...rest } = input;
    const named = trust === 'none' || publisher === undefined ? rest : { ...rest, publisher };
    const event = parseEvent(withContext({ ...named, topic }, origin));
    return { valid: true, json: encodeEvent(event) };
  } catch (error) {
    if (error instanceof SyntaxError) return { valid: false, reason: 'not JSON in UTF-8' };
    const { code, message: reason } = asTidemarkError(error);
    return { valid: false, reason: code === 'internal' ? 'unreadable' : reason };
  }
}

/** @throws SyntaxError, or TidemarkError where there is no object */
function readInput(headers: StoredMessage['headers'], payload: Uint8Array): TraceCarrier {
  if (isBinaryMode(headers)) {
    return fromBinaryMode(textsOf(headers), headers.get('content-type'), payload);
  }
  const text = decodeUtf8(payload);
  refuseCostlyText(text, { depth: 1, whole: true });
  const input: unknown = parseExact(text);
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return input as TraceCarrier;
  }
  throw new TidemarkError('invalid_event', 'The event must be a JSON object.');
}

/**
 * The headers as their publisher wrote them. The NATS client puts U+FFFD in place of bytes that are not
 * UTF-8, and so nobody can tell what they were. Who means that character sends it percent-encoded.
 */
function* textsOf(headers: StoredMessage['headers']): Iterable<Header> {
  for (const [name, value] of headers) yield [name, value.includes('\ufffd') ? undefined : value];
}

/**
 * The sampled trace in the headers, which an event without a trace of its own gets, so that clients can
 * continue it. Ingest writes it into the event.
 */
function sampledOrigin(headers: StoredMessage['headers']) {
  const traceparent = headers.get('traceparent');
  if (traceparent === undefined || !isSampled(traceparent)) return undefined;
  return contextInHeaders(headers);
}

function isBinaryMode(headers: ReadonlyMap<string, string>): boolean {
  if (!headers.has('ce-specversion')) return false;
  return !/^\s*application\/cloudevents/i.test(headers.get('content-type') ?? '');
}
