import { EVENT_HEAD_BYTES } from '../wire/event-layout.ts';
import { type Listener, WireReader } from './wire-reader.ts';

const LF = 10;
const D = 100;
const CR = 13;
const CRLF = '\r\n';
const HEX = new Set(Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0)));
/** The end of the block, and that of its chunk. */
const AFTER_JSON_BYTES = 4;
const DATA_LINE = '\ndata: ';

/** Reads the gateway's SSE blocks (PROTOCOL.md section 7), each of which is a chunk of the body. */
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
    this.#jsonAt = 0;
    const blockAt = this.#measureChunk(bytes, at, end);
    if (blockAt > 0) this.#measureEvent(bytes, blockAt, { at, end });
  }

  protected take(bytes: Buffer, at: number): void {
    // After an event of a wrong length the next chunk begins in the wrong place.
    if (!HEX.has(bytes[at] as number)) {
      this.listener.onFault(`no chunk begins with byte ${bytes[at]}`);
    }
    if (this.#jsonAt > 0) {
      const jsonBytes = this.total - this.#jsonAt - AFTER_JSON_BYTES;
      if (jsonBytes !== this.#eventBytes) this.listener.onFault(`an event has ${jsonBytes} bytes`);
      this.event(bytes, at + this.#jsonAt, this.#sequence);
      return;
    }
    const text = bytes.toString('utf8', at, at + this.total);
    this.listener.onControl(text.slice(text.indexOf(CRLF) + CRLF.length, -CRLF.length));
  }

  /** @returns where the chunk's block begins; 0 when too few bytes are there to know */
  #measureChunk(bytes: Buffer, at: number, end: number): number {
    let size = 0;
    for (let place = at; place + 1 < end; place++) {
      const byte = bytes[place] as number;
      if (byte === CR) {
        const blockAt = place + CRLF.length;
        this.total = blockAt - at + size + CRLF.length;
        this.need = this.total;
        return blockAt;
      }
      size = size * 16 + Number.parseInt(String.fromCharCode(byte), 16);
    }
    this.need = end - at + 1;
    this.total = this.need;
    return 0;
  }

  /** Needs only the first bytes of an event. */
  #measureEvent(
    bytes: Buffer,
    blockAt: number,
    { at, end }: { readonly at: number; readonly end: number },
  ): void {
    let place = blockAt + this.#prefix.length;
    let sequence = 0;
    for (; place + 1 < end; place++) {
      const digit = (bytes[place] as number) - 48;
      if (digit < 0 || digit > 9) break;
      sequence = sequence * 10 + digit;
    }
    if (place + 1 >= end || bytes[place] !== LF || bytes[place + 1] !== D) return;
    this.#sequence = sequence;
    this.#jsonAt = place + DATA_LINE.length - at;
    this.need = this.#jsonAt + EVENT_HEAD_BYTES;
  }
}
