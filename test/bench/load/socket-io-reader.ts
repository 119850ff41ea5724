import { EVENT_HEAD_BYTES } from '../wire/event-layout.ts';
import { type Listener, WireReader } from './wire-reader.ts';

const TEXT = 0x81;

/** The bytes before the payload: an Engine.IO message with a Socket.IO event in it. */
const EVENT_PREFIX = '42["event",';
/** Connection state recovery adds the id of the packet to an event, as a string. */
const OFFSET = /,"([^"]+)"\]$/;
/** The longest of what it adds. */
const OFFSET_BYTES_MAX = 40;
const FOUR = 52;
const TWO = 50;

/** Reads Socket.IO's WebSocket frames as cheaply as the gateway's. */
export class SocketIoReader extends WireReader {
  #header = 0;
  readonly #recovers: boolean;
  #lastOffset: string | undefined;

  constructor(
    listener: Listener,
    { timed, recovers = false }: { readonly timed: boolean; readonly recovers?: boolean },
  ) {
    super(listener, timed);
    this.#recovers = recovers;
  }

  /** The id of the last event's packet, where the server recovers sessions. */
  get lastOffset(): string | undefined {
    return this.#lastOffset;
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
    if (this.#recovers) this.need = this.total;
    else this.need = Math.min(this.total, this.#header + EVENT_PREFIX.length + EVENT_HEAD_BYTES);
  }

  protected take(bytes: Buffer, at: number): void {
    const start = at + this.#header;
    if (bytes[at] !== TEXT) this.listener.onFault(`no frame begins with byte ${bytes[at]}`);
    else if (this.#isEvent(bytes, start)) {
      if (this.#recovers) this.#readOffset(bytes, at + this.total);
      this.event(bytes, start + EVENT_PREFIX.length, 0);
    } else this.listener.onControl(bytes.toString('utf8', start, at + this.total));
  }

  #readOffset(bytes: Buffer, end: number): void {
    this.#lastOffset = OFFSET.exec(bytes.toString('latin1', end - OFFSET_BYTES_MAX, end))?.[1];
  }

  #isEvent(bytes: Buffer, start: number): boolean {
    return this.total > 126 && bytes[start] === FOUR && bytes[start + 1] === TWO;
  }
}
