import {
  COUNTER_AT,
  COUNTER_DIGITS,
  readDigits,
  TIME_AT,
  TIME_DIGITS,
} from '../wire/event-layout.ts';

/** The calls of a reader to its load client. */
export interface Listener {
  /** Called with the head of the HTTP answer. */
  onHead(head: string): void;
  /** @param timeUs the time at which the publisher made the event; 0 where times are not read */
  onEvent(sequence: number, counter: number, timeUs: number): void;
  /** Called with each whole message that is not an event. */
  onControl(text: string): void;
  onFault(fault: string): void;
}

/** The longest message that is not an event, and the longest part of an event that is needed. */
const HELD_BYTES_MAX = 8192;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/**
 * Splits the bytes of a socket into messages, in place. It reads only the bytes of an event that it
 * needs, and skips the rest by its length. It allocates and copies nothing, unless the bytes that it needs are
 * split between two reads.
 */
export abstract class WireReader {
  /** Set by `measure`: the bytes that `take` needs, and the length of the whole message. */
  protected need = 0;
  protected total = 0;
  protected readonly listener: Listener;
  readonly #timed: boolean;
  #headed = false;
  #skip = 0;
  #held: Buffer | undefined;
  #heldBytes = 0;

  constructor(listener: Listener, timed: boolean) {
    this.listener = listener;
    this.#timed = timed;
  }

  /** Sets `need` and `total` for the message at `at`. `need` may grow when more bytes are there. */
  protected abstract measure(bytes: Buffer, at: number, end: number): void;
  protected abstract take(bytes: Buffer, at: number): void;

  /** Reads `bytes` up to `end`. The bytes after `end` are of an earlier read. */
  read(bytes: Buffer, end: number): void {
    let at = this.#heldBytes > 0 ? this.#completeHeld(bytes, end) : 0;
    const skipped = Math.min(this.#skip, end - at);
    this.#skip -= skipped;
    at += skipped;
    while (at < end) {
      this.#measure(bytes, at, end);
      if (end - at < this.need) {
        this.#hold(bytes, at, end);
        return;
      }
      this.#take(bytes, at);
      at += this.total;
    }
    this.#skip += at - end;
  }

  /** @param at the offset of the event's JSON */
  protected event(bytes: Buffer, at: number, sequence: number): void {
    const counter = readDigits(bytes, at + COUNTER_AT, COUNTER_DIGITS);
    const timeUs = this.#timed ? readDigits(bytes, at + TIME_AT, TIME_DIGITS) : 0;
    this.listener.onEvent(sequence, counter, timeUs);
  }

  #measure(bytes: Buffer, at: number, end: number): void {
    if (this.#headed) {
      this.measure(bytes, at, end);
      return;
    }
    const length = bytes.subarray(at, end).indexOf(END_OF_HEAD);
    this.need = length === -1 ? end - at + 1 : length + END_OF_HEAD.length;
    this.total = this.need;
  }

  #take(bytes: Buffer, at: number): void {
    if (this.#headed) {
      this.take(bytes, at);
      return;
    }
    this.#headed = true;
    this.listener.onHead(bytes.toString('latin1', at, at + this.total));
  }

  #hold(bytes: Buffer, at: number, end: number): void {
    if (end - at > HELD_BYTES_MAX) throw new Error('A message is longer than any that is known.');
    this.#held ??= Buffer.allocUnsafeSlow(HELD_BYTES_MAX);
    this.#heldBytes = bytes.copy(this.#held, 0, at, end);
  }

  /** Adds to the held bytes until their message can be taken. @returns the offset of the rest */
  #completeHeld(bytes: Buffer, end: number): number {
    const held = this.#held as Buffer;
    let at = 0;
    for (;;) {
      this.#measure(held, 0, this.#heldBytes);
      if (this.#heldBytes >= this.need) break;
      const more = Math.min(this.need - this.#heldBytes, end - at);
      if (more === 0) return at;
      if (this.#heldBytes + more > HELD_BYTES_MAX) throw new Error('A message is too long.');
      bytes.copy(held, this.#heldBytes, at, at + more);
      this.#heldBytes += more;
      at += more;
    }
    this.#take(held, 0);
    this.#skip = this.total - this.#heldBytes;
    this.#heldBytes = 0;
    return at;
  }
}
