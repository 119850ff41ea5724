import type { Msg } from '@nats-io/transport-node';
import { fromSubject } from '@tidemark/protocol';

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

/** A message of the events stream, as a consumer delivers it. */
export interface LogRecord {
  readonly sequence: number;
  /** When the stream stored it, milliseconds since 1970. */
  readonly timeMs: number;
  readonly subject: string;
  /** `undefined` where the subject holds no valid topic. */
  readonly topic: string | undefined;
  readonly payload: Uint8Array;
  /** First value of each, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
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

/**
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>`, in newer
 * servers with a domain and an account hash before the stream and a random token at the end.
 */
export function parseDelivery(reply: string): Delivery {
  const tokens = reply.split('.');
  const shift = tokens.length >= 11 ? 2 : 0;
  return {
    streamSequence: Number(tokens[5 + shift]),
    consumerSequence: Number(tokens[6 + shift]),
    // Cut to microseconds first: nanoseconds since 1970 do not fit a double exactly.
    timeMs: Math.floor(Number(tokens[7 + shift]?.slice(0, -3)) / 1000),
    pending: Number(tokens[8 + shift]),
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
