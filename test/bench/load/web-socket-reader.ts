import { webSocketEventPrefix } from '@tidemark/protocol';
import { EVENT_HEAD_BYTES } from '../wire/event-layout.ts';
import { type Listener, WireReader } from './wire-reader.ts';

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;

/** The offset of the letters that tell `{"type":"ev` from all other messages, also `{"type":"er`. */
const KIND_AT = 9;
const KIND_E = 101;
const KIND_V = 118;
const SEQUENCE_DIGITS_MAX = 16;

/** Reads the gateway's WebSocket frames (PROTOCOL.md section 6). */
export class WebSocketReader extends WireReader {
  readonly #sequenceAt: number;
  readonly #afterSequence: number;
  readonly #onPing: () => void;
  #header = 0;

  constructor(
    listener: Listener,
    options: { readonly epoch: string; readonly timed: boolean; readonly onPing: () => void },
  ) {
    super(listener, options.timed);
    this.#onPing = options.onPing;
    const prefix = webSocketEventPrefix({ epoch: options.epoch, sequence: 0 });
    this.#sequenceAt = prefix.indexOf(`${options.epoch}-0`) + options.epoch.length + 1;
    this.#afterSequence = prefix.length - this.#sequenceAt - 1;
  }

  protected measure(bytes: Buffer, at: number, end: number): void {
    const there = end - at;
    this.need = 2;
    this.total = 2;
    if (there < 2) return;
    const short = bytes[at + 1] as number;
    this.#header = short < 126 ? 2 : short === 126 ? 4 : 10;
    this.need = this.#header;
    if (there < this.#header) return;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6);
    this.total = this.#header + length;
    this.need = Math.min(this.total, this.#header + KIND_AT + 2);
    if (there < this.need) return;
    const headBytes = this.#header + this.#sequenceAt + SEQUENCE_DIGITS_MAX + this.#afterSequence;
    this.need = this.#isEvent(bytes, at)
      ? Math.min(this.total, headBytes + EVENT_HEAD_BYTES)
      : this.total;
  }

  protected take(bytes: Buffer, at: number): void {
    const start = at + this.#header;
    if (this.#isEvent(bytes, at)) {
      let place = start + this.#sequenceAt;
      let sequence = 0;
      for (
        let digit = digitAt(bytes, place);
        digit >= 0 && digit < 10;
        digit = digitAt(bytes, place)
      ) {
        sequence = sequence * 10 + digit;
        place++;
      }
      this.event(bytes, place + this.#afterSequence, sequence);
      return;
    }
    const opcode = bytes[at];
    if (opcode === TEXT) this.listener.onControl(bytes.toString('utf8', start, at + this.total));
    else if (opcode === PING) this.#onPing();
    else if (opcode === CLOSE) this.listener.onFault(`closed with ${bytes.readUInt16BE(start)}`);
    else this.listener.onFault(`no frame begins with byte ${opcode}`);
  }

  #isEvent(bytes: Buffer, at: number): boolean {
    const kind = at + this.#header + KIND_AT;
    return bytes[at] === TEXT && bytes[kind] === KIND_E && bytes[kind + 1] === KIND_V;
  }
}

function digitAt(bytes: Buffer, at: number): number {
  return (bytes[at] as number) - 48;
}
