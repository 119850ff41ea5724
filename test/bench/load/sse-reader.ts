import { EVENT_HEAD_BYTES } from '../wire/event-layout.ts';
import { type Listener, WireReader } from './wire-reader.ts';

const LF = 10;
const D = 100;
/** The first bytes of blocks: `id:`, `event:`, `retry:` or a comment. */
const BEGINNINGS = new Set(Array.from('ier:', (letter) => letter.charCodeAt(0)));
const END_OF_BLOCK = Buffer.from('\n\n');
const DATA_LINE = '\ndata: ';

/** Reads the gateway's SSE blocks (PROTOCOL.md section 7). All events must have the same length. */
export class SseReader extends WireReader {
  readonly #prefix: Buffer;
  readonly #eventBytes: number;
  #sequence = 0;
  /** The offset of the measured event's JSON in its block; 0 for other blocks. */
  #jsonAt = 0;

  constructor(
    listener: Listener,
    options: { readonly epoch: string; readonly timed: boolean; readonly eventBytes: number },
  ) {
    super(listener, options.timed);
    this.#prefix = Buffer.from(`id: ${options.epoch}-`);
    this.#eventBytes = options.eventBytes;
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    if (this.#measureEvent(bytes, at, end)) return;
    const length = bytes.subarray(at, end).indexOf(END_OF_BLOCK);
    this.need = length === -1 ? end - at + 1 : length + END_OF_BLOCK.length;
    this.total = this.need;
  }

  protected take(bytes: Buffer, at: number): void {
    // After an event of a wrong length the next block begins in the wrong place.
    if (!BEGINNINGS.has(bytes[at] as number)) {
      this.listener.onFault(`no block begins with byte ${bytes[at]}`);
    }
    if (this.#jsonAt > 0) this.event(bytes, at + this.#jsonAt, this.#sequence);
    else this.listener.onControl(bytes.toString('utf8', at, at + this.total));
  }

  /** @returns false when it is not an event, or too few bytes are there to know */
  #measureEvent(bytes: Buffer, at: number, end: number): boolean {
    this.#jsonAt = 0;
    let place = at + this.#prefix.length;
    let sequence = 0;
    for (; place + 1 < end; place++) {
      const digit = (bytes[place] as number) - 48;
      if (digit < 0 || digit > 9) break;
      sequence = sequence * 10 + digit;
    }
    if (place + 1 >= end || bytes[place] !== LF || bytes[place + 1] !== D) return false;
    this.#sequence = sequence;
    this.#jsonAt = place + DATA_LINE.length - at;
    this.need = this.#jsonAt + EVENT_HEAD_BYTES;
    this.total = this.#jsonAt + this.#eventBytes + END_OF_BLOCK.length;
    return true;
  }
}
