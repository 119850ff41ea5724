/*
 * The layout of every benchmark event. Counter and time are at fixed offsets, so that a load client
 * reads them without parsing JSON:
 *
 *     {"specversion":"1.0","id":"<counter>-<time in µs>","source":…,"topic":…,"data":{"pad":"…"}}
 */

const OPENING = '{"specversion":"1.0","id":"';
export const COUNTER_AT = OPENING.length;
export const COUNTER_DIGITS = 10;
export const TIME_AT = COUNTER_AT + COUNTER_DIGITS + 1;
export const TIME_DIGITS = 16;
/** The bytes of an event that a load client needs to read counter and time. */
export const EVENT_HEAD_BYTES = TIME_AT + TIME_DIGITS;

export interface EventStamp {
  /** The publisher's count of the events for one client, from 1 without holes. */
  readonly counter: number;
  readonly timeUs: number;
}

/** @returns the bytes of an event on a topic; `stamp` adds counter and time */
export function layOut(topic: string, bytes: number): Buffer {
  const id = `${'0'.repeat(COUNTER_DIGITS)}-${'0'.repeat(TIME_DIGITS)}`;
  const before = `${OPENING}${id}","source":"/bench","type":"bench.tick","topic":"${topic}"`;
  const empty = `${before},"data":{"pad":""}}`;
  if (empty.length > bytes) throw new Error(`An event on ${topic} has more than ${bytes} bytes.`);
  return Buffer.from(`${before},"data":{"pad":"${'x'.repeat(bytes - empty.length)}"}}`);
}

/** @returns a copy, because NATS keeps the bytes that it gets until they are sent */
export function stamp(template: Buffer, { counter, timeUs }: EventStamp): Buffer {
  const event = Buffer.allocUnsafe(template.length);
  template.copy(event);
  writeDigits(event, COUNTER_AT, COUNTER_DIGITS, counter);
  writeDigits(event, TIME_AT, TIME_DIGITS, Math.floor(timeUs));
  return event;
}

/** An event's text around counter and time, for publishers that write text. */
export interface TextTemplate {
  readonly before: string;
  readonly after: string;
}

export function layOutText(topic: string, bytes: number): TextTemplate {
  const text = layOut(topic, bytes).toString('latin1');
  return { before: OPENING, after: text.slice(TIME_AT + TIME_DIGITS) };
}

/** @returns what `stamp` returns, as text */
export function stampText(
  { before, after }: TextTemplate,
  { counter, timeUs }: EventStamp,
): string {
  const id = String(counter).padStart(COUNTER_DIGITS, '0');
  return `${before}${id}-${String(Math.floor(timeUs)).padStart(TIME_DIGITS, '0')}${after}`;
}

/** Reads that many decimal digits. @returns `NaN` where other bytes are there */
export function readDigits(bytes: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let index = at; index < at + digits; index++) {
    const digit = (bytes[index] ?? 0) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

export function writeDigits(bytes: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let index = at + digits - 1; index >= at; index--) {
    const next = Math.floor(rest / 10);
    bytes[index] = 48 + (rest - next * 10);
    rest = next;
  }
}
