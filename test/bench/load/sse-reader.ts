import { type Listener, WireReader } from './wire-reader.ts';

const LF = 10;
const D = 100;
const CR = 13;
const CRLF = '\r\n';
const HEX = new Set(Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0)));
const DATA = 'data: ';

/** Reads the gateway's SSE blocks (PROTOCOL.md section 7), each of which is a chunk of the body. */
export class SseReader extends WireReader {
  readonly #idBytes: number;
  readonly #eventBytes: number;
  /** The offset of the measured event's JSON; 0 for other blocks. */
  #jsonAt = 0;

  constructor(
    listener: Listener,
    options: { readonly epoch: string; readonly timed: boolean; readonly eventBytes: number },
  ) {
    super(listener, options.timed);
    this.#idBytes = `\nid: ${options.epoch}-`.length;
    this.#eventBytes = options.eventBytes;
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    const blockAt = this.#measureChunk(bytes, at, end);
    const isEvent = blockAt > 0 && blockAt < end && bytes[blockAt] === D;
    this.#jsonAt = isEvent ? blockAt + DATA.length - at : 0;
  }

  protected take(bytes: Buffer, at: number): void {
    // After an event of a wrong length the next chunk begins in the wrong place.
    if (!HEX.has(bytes[at] as number)) {
      this.listener.onFault(`no chunk begins with byte ${bytes[at]}`);
    }
    if (this.#jsonAt > 0) {
      const jsonAt = at + this.#jsonAt;
      this.event(bytes, jsonAt, this.#readSequence(bytes, jsonAt + this.#eventBytes));
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

  /** @param at where the JSON of the event ends */
  #readSequence(bytes: Buffer, at: number): number {
    let place = at + this.#idBytes;
    let sequence = 0;
    for (; ; place++) {
      const digit = (bytes[place] as number) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      sequence = sequence * 10 + digit;
    }
    if (bytes[at] !== LF || bytes[place] !== LF || bytes[place + 1] !== LF) {
      this.listener.onFault(`no event of ${this.#eventBytes} bytes`);
    }
    return sequence;
  }
}
