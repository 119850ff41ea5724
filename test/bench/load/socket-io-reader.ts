import { EVENT_HEAD_BYTES } from '../wire/event-layout.ts';
import { type Listener, WireReader } from './wire-reader.ts';

const TEXT = 0x81;

/** The bytes before the payload: an Engine.IO message with a Socket.IO event in it. */
const EVENT_PREFIX = '42["event",';
const FOUR = 52;
const TWO = 50;

/** Reads Socket.IO's WebSocket frames as cheaply as the gateway's. */
export class SocketIoReader extends WireReader {
  #header = 0;

  constructor(listener: Listener, { timed }: { readonly timed: boolean }) {
    super(listener, timed);
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    const there = end - at;
    this.need = 2;
    this.total = 2;
    if (there < 2) return;
    const short = bytes[at + 1] as number;
    this.#header = short < 126 ? 2 : 4;
    this.need = this.#header;
    if (there < this.#header) return;
    this.total = this.#header + (short < 126 ? short : bytes.readUInt16BE(at + 2));
    this.need = Math.min(this.total, this.#header + EVENT_PREFIX.length + EVENT_HEAD_BYTES);
  }

  protected take(bytes: Buffer, at: number): void {
    const start = at + this.#header;
    if (bytes[at] !== TEXT) this.listener.onFault(`no frame begins with byte ${bytes[at]}`);
    else if (this.#isEvent(bytes, start)) this.event(bytes, start + EVENT_PREFIX.length, 0);
    else this.listener.onControl(bytes.toString('utf8', start, at + this.total));
  }

  #isEvent(bytes: Buffer, start: number): boolean {
    return this.total > 126 && bytes[start] === FOUR && bytes[start + 1] === TWO;
  }
}
