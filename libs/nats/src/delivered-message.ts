import type { Msg } from '@nats-io/transport-node';
import type { Trust } from '@tidemark/protocol';
import { PlainHeaders } from './plain-headers.ts';
import { type Delivery, type LogRecord, parseDelivery, readHeaders } from './records.ts';
import type { StreamSeal } from './seal.ts';
import { type Subject, Subjects } from './subjects.ts';

/**
 * What the NATS client keeps of a message until somebody asks for a part of it. It is no part of the client's
 * interface. Where a version has it no more, the parts are asked for: that is slower by a sixth of what a delivery
 * to a single client costs, and `delivered-message.test.ts` fails.
 */
interface Kept {
  readonly _msg?: {
    readonly subject?: Uint8Array;
    readonly reply?: Uint8Array;
    /** The length of the headers; -1 without any. */
    readonly hdr?: number;
  };
  /** Headers and payload. */
  readonly _rdata?: Uint8Array;
}

const ZERO = 48;
const NINE = 57;
const DOT = 46;

/** The dots of the last reply. It is reused, because this runs for every message. */
const dots = new Int32Array(12);

const subjects = new Subjects();

/** The subject of a message. */
export function subjectOf(message: Msg): Subject {
  const bytes = (message as Kept)._msg?.subject;
  return subjects.find(bytes ?? Buffer.from(message.subject), () => message.subject);
}

/** The numbers that the server gave a message; `undefined` without a reply subject. */
export function deliveryOf(message: Msg): Delivery | undefined {
  const bytes = (message as Kept)._msg?.reply;
  const delivery = bytes && parseDeliveryBytes(bytes);
  return delivery ?? (message.reply ? parseDelivery(message.reply) : undefined);
}

/** The record of a delivered message. */
export function recordOf(
  message: Msg,
  subject: Subject,
  delivery: Delivery,
  seal: StreamSeal,
): LogRecord {
  return new DeliveredRecord(message, subject, delivery, seal);
}

/**
 * A record whose headers and seal are read when somebody asks for them. Of what a scan reads for a few readers most
 * concerns none of them, and a seal takes a fifth of what it costs to receive a message.
 */
class DeliveredRecord implements LogRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly subject: string;
  readonly topic: string | undefined;
  readonly payload: Uint8Array;
  readonly #message: Msg;
  readonly #seal: StreamSeal;
  #headers: ReadonlyMap<string, string> | undefined;
  #trust: Trust | undefined;

  constructor(message: Msg, subject: Subject, delivery: Delivery, seal: StreamSeal) {
    this.sequence = delivery.streamSequence;
    this.timeMs = delivery.timeMs;
    this.subject = subject.text;
    this.topic = subject.topic;
    this.payload = message.data;
    this.#message = message;
    this.#seal = seal;
  }

  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= headersOf(this.#message);
    return this.#headers;
  }

  get trust(): Trust {
    this.#trust ??= this.#seal.trustOf(this);
    return this.#trust;
  }
}

function headersOf(message: Msg): ReadonlyMap<string, string> {
  const { _msg, _rdata } = message as Kept;
  const end = _msg?.hdr ?? -1;
  const plain = _rdata && end > 0 ? PlainHeaders.read(_rdata, end, message) : undefined;
  return plain ?? readHeaders(message);
}

/**
 * Parses the reply subject of a delivered message, as `parseDelivery` does.
 *
 * @returns `undefined` for one of another form
 */
export function parseDeliveryBytes(reply: Uint8Array): Delivery | undefined {
  let count = 0;
  for (let at = 0; at < reply.length; at++) {
    if (reply[at] !== DOT) continue;
    if (count === dots.length) return undefined;
    dots[count++] = at;
  }
  if (count < 8) return undefined;
  const first = count >= 10 ? 6 : 4;
  const streamSequence = numberAt(reply, count, first);
  const consumerSequence = numberAt(reply, count, first + 1);
  // Cut to microseconds first: nanoseconds since 1970 do not fit a double exactly.
  const timeUs = numberAt(reply, count, first + 2, 3);
  const pending = numberAt(reply, count, first + 3);
  if (Number.isNaN(streamSequence + consumerSequence + timeUs + pending)) return undefined;
  return { streamSequence, consumerSequence, timeMs: Math.floor(timeUs / 1000), pending };
}

/** The number behind a dot, without so many of its last digits; NaN where there is none that a double holds. */
function numberAt(reply: Uint8Array, count: number, dot: number, cut = 0): number {
  const start = (dots[dot] ?? 0) + 1;
  const end = (dot + 1 < count ? (dots[dot + 1] ?? 0) : reply.length) - cut;
  if (end <= start || end - start > 16) return Number.NaN;
  let number = 0;
  for (let at = start; at < end; at++) {
    const digit = reply[at] ?? 0;
    if (digit < ZERO || digit > NINE) return Number.NaN;
    number = number * 10 + digit - ZERO;
  }
  return Number.isSafeInteger(number) ? number : Number.NaN;
}
