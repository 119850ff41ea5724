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
  /** The offset of the measured event's JSON; 0 for other blocks. */
  #jsonAt = 0;

  constructor(listener: Listener, options: { readonly epoch: string; readonly timed: boolean }) {
    super(listener, options.timed);
    this.#idBytes = `\nid: ${options.epoch}-`.length;
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
      const sequence = this.#readSequence(bytes, at + this.total - CRLF.length);
      this.event(bytes, at + this.#jsonAt, sequence);
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

  /**
   * Reads backwards, because ingest adds attributes to what was published.
   *
   * @param end where the block ends
   */
  #readSequence(bytes: Buffer, end: number): number {
    let place = end - 3;
    let sequence = 0;
    for (let unit = 1; ; unit *= 10, place--) {
      const digit = (bytes[place] as number) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      sequence += digit * unit;
    }
    const isEnd = bytes[end - 1] === LF && bytes[end - 2] === LF;
    if (!isEnd || bytes[place + 1 - this.#idBytes] !== LF) {
      this.listener.onFault('no event with a cursor of this log');
    }
    return sequence;
  }
}
