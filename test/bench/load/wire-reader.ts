import {
  COUNTER_AT,
  COUNTER_DIGITS,
  readDigits,
  TIME_AT,
  TIME_DIGITS,
} from '../wire/event-layout.ts';

/** What a load client is told by its reader. */
export interface Listener {
  /** The head of the HTTP answer. */
  onHead(head: string): void;
  /** @param timeUs when the publisher made it, 0 where times are not read */
  onEvent(sequence: number, counter: number, timeUs: number): void;
  /** Everything that is no event, whole. */
  onControl(text: string): void;
  onFault(fault: string): void;
}

/** Longest message that is no event, or head of an event. */
const HELD_BYTES_MAX = 8192;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/**
 * Cuts what a socket brings into messages, in place: of an event only the first bytes are looked
 * at, and the rest is skipped by its length. Nothing is allocated or copied unless a message's
 * first bytes are split between two reads.
 */
export abstract class WireReader {
  /** What `measure` finds: bytes that `take` must have, and the length of the whole message. */
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

  /** Sets `need` and `total` for the message at `at`; `need` may grow as more of it is there. */
  protected abstract measure(bytes: Buffer, at: number, end: number): void;
  protected abstract take(bytes: Buffer, at: number): void;

  /** Takes `bytes` up to `end`; what lies beyond is left from an earlier read. */
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

  /** @param at where the event's JSON begins */
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

  /** Adds to the held bytes until their message can be taken. @returns where the rest begins */
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
