import type { MsgHdrs } from '@nats-io/transport-node';
import { fromSubject, type StoredMessage } from '@tidemark/protocol';
import type { StreamSeal } from './seal.ts';

type Headers = ReadonlyMap<string, string>;

const NO_HEADERS: Headers = new Map();

/** A message of the stream with its sequence and time, as a consumer delivers it. */
export interface LogRecord extends StoredMessage {
  readonly sequence: number;
  /** When the stream stored it, milliseconds since 1970. */
  readonly timeMs: number;
  readonly subject: string;
}

/** The numbers that the server gives a delivered message, in its reply subject. */
export interface Delivery {
  readonly streamSequence: number;
  /** Counts the messages of this consumer from 1. A jump means that messages were lost. */
  readonly consumerSequence: number;
  /** When the stream stored the message, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Messages that the consumer has not delivered yet. */
  readonly pending: number;
}

const DOT = 46;

/** The dots of the last reply. It is reused, because this runs for every message. */
const dots: number[] = [];

/**
 * Parses the reply subject of a delivered message:
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>`. Newer servers
 * add a domain and an account hash before the stream, and a random token at the end.
 */
export function parseDelivery(reply: string): Delivery {
  dots.length = 0;
  for (let at = 0; at < reply.length; at++) if (reply.charCodeAt(at) === DOT) dots.push(at);
  const shift = dots.length >= 10 ? 2 : 0;
  const number = (token: number, cut = 0): number => {
    const start = (dots[token + shift - 1] ?? 0) + 1;
    return Number(reply.slice(start, (dots[token + shift] ?? reply.length) - cut));
  };
  return {
    streamSequence: number(5),
    consumerSequence: number(6),
    // Cut to microseconds first: nanoseconds since 1970 do not fit a double exactly.
    timeMs: Math.floor(number(7, 3) / 1000),
    pending: number(8),
  };
}

/** The parts of a message that become a record. */
export interface MessageParts {
  readonly sequence: number;
  readonly timeMs: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** May throw where it is decoded. */
  readonly headers: MsgHdrs | undefined;
}

/** The record of a message of the stream. */
export function toRecord(message: MessageParts, seal: StreamSeal): LogRecord {
  const { sequence, timeMs, subject, data: payload } = message;
  const headers = readHeaders(message);
  const trust = seal.trustOf({ subject, payload, timeMs, headers });
  return { sequence, timeMs, subject, topic: fromSubject(subject), payload, headers, trust };
}

/**
 * The first value of each header, under its name in lower case. NATS stores names and values that its client refuses
 * to decode. A message with one has no headers then, and so no seal: whoever wrote it cannot hold up its readers.
 */
export function readHeaders(message: Partial<Pick<MessageParts, 'headers'>>): Headers {
  let headers: MsgHdrs | undefined;
  try {
    headers = message.headers;
  } catch {
    return NO_HEADERS;
  }
  if (!headers) return NO_HEADERS;
  const map = new Map<string, string>();
  for (const [name, values] of headers) {
    const [first] = values;
    if (first !== undefined) map.set(name.toLowerCase(), first);
  }
  return map;
}
