import type { Msg } from '@nats-io/transport-node';
import { fromSubject, type StoredMessage } from '@tidemark/protocol';

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

/** A message of the events stream with its place in it, as a consumer delivers it. */
export interface LogRecord extends StoredMessage {
  readonly sequence: number;
  /** When the stream stored it, milliseconds since 1970. */
  readonly timeMs: number;
  readonly subject: string;
}

/** Where a delivered message stands, as its reply subject tells. */
export interface Delivery {
  readonly streamSequence: number;
  /** Counts what this consumer delivered, from 1 without holes: a jump means a loss on the way. */
  readonly consumerSequence: number;
  readonly timeMs: number;
  /** Messages that the consumer has yet to deliver. */
  readonly pending: number;
}

const DOT = 46;

/** Where the last reply's dots are; kept between calls, because this runs for every message. */
const dots: number[] = [];

/**
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>`, in newer
 * servers with a domain and an account hash before the stream and a random token at the end.
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

export function toRecord(message: Msg, { streamSequence, timeMs }: Delivery): LogRecord {
  return {
    sequence: streamSequence,
    timeMs,
    subject: message.subject,
    topic: fromSubject(message.subject),
    payload: message.data,
    headers: readHeaders(message),
  };
}

function readHeaders({ headers }: Msg): ReadonlyMap<string, string> {
  if (!headers) return NO_HEADERS;
  const map = new Map<string, string>();
  for (const [name, values] of headers) {
    const [first] = values;
    if (first !== undefined) map.set(name.toLowerCase(), first);
  }
  return map;
}
