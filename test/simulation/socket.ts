import type { CloseReason } from '@tidemark/protocol';
import { BATCH_BYTES_MAX, LOW_WATER_BYTES } from '../../services/gateway/src/fan-out/batch.ts';
import type { Sink } from '../../services/gateway/src/fan-out/sink.ts';
import type { LogVersion } from './versions.ts';
import { ensure } from './violation.ts';

/** Most bytes that a socket holds unsent, except for one larger event (PROTOCOL.md section 8.2). */
const UNSENT_BYTES_MAX = 64 * 1024;

/** The first byte of a WebSocket text frame (RFC 6455 section 5.2). */
const TEXT_FRAME = 0x81;
const LENGTH_16 = 126;
const HEADER_BYTES_MAX = 10;

/** The bytes of a write, and the version of the log that the gateway knew when it wrote. */
interface Piece {
  readonly bytes: Buffer;
  readonly version: LogVersion;
}

export interface SocketEvents {
  /** The version of the log that the writing gateway knows. */
  readonly version: () => LogVersion;
  /** Called for each write, which takes time. */
  readonly wrote: (socket: SimulatedSocket) => void;
  readonly drained: () => void;
  readonly received: (bytes: Buffer, version: LogVersion) => void;
  readonly closed: (reason: CloseReason) => void;
}

/**
 * A socket that behaves like Node's. Writes queue up in the process. The kernel takes them piece by
 * piece (`flush`), and the network delivers what the kernel has (`arrive`). A drain follows once the
 * queue is empty, if it was at the high-water mark.
 */
export class SimulatedSocket implements Sink {
  /** While true, nothing arrives. */
  stalled = false;
  pings = 0;
  kernelBytesMax: number;
  unsentBytes = 0;
  takenBytes = 0;
  readonly #events: SocketEvents;
  #unsent: Piece[] = [];
  #kernel: Piece[] = [];
  #kernelBytes = 0;
  #controlBytes = 0;
  #needsDrain = false;
  #closing: CloseReason | undefined;
  #destroyed = false;

  constructor(events: SocketEvents, kernelBytesMax: number) {
    this.#events = events;
    this.kernelBytesMax = kernelBytesMax;
  }

  get writable(): boolean {
    return !this.#needsDrain && !this.#destroyed && !this.#closing;
  }

  /** Whether any bytes can move. */
  get moves(): boolean {
    if (this.#destroyed || this.stalled) return false;
    if (this.#needsDrain || this.#closing) return true;
    return this.#kernel.length > 0 || this.#unsent.length > 0;
  }

  /** Keeps bytes that it does not report as taken by reference, so that reuse of them is found. */
  write(bytes: Uint8Array): boolean {
    const room = this.kernelBytesMax - this.#kernelBytes;
    const taken = this.unsentBytes === 0 && bytes.length <= room;
    const buffer = taken
      ? Buffer.from(bytes)
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    ensure(!this.#closing, 'closing', () => 'written to after its close');
    if (this.#destroyed) return taken;
    if (isEvent(buffer)) this.#checkEvents(buffer);
    else this.#controlBytes += buffer.length;
    this.unsentBytes += buffer.length;
    this.#unsent.push({ bytes: buffer, version: this.#events.version() });
    if (this.unsentBytes >= LOW_WATER_BYTES) this.#needsDrain = true;
    this.#events.wrote(this);
    return taken;
  }

  ping(): void {
    this.pings++;
  }

  close(reason: CloseReason): void {
    this.#closing = reason;
  }

  /** Breaks the connection. Bytes in transit never arrive. */
  destroy(): void {
    this.#destroyed = true;
    this.#unsent = [];
    this.#kernel = [];
  }

  /** The kernel takes some of the unsent bytes. */
  flush(bytesMax: number): void {
    let room = Math.min(bytesMax, this.kernelBytesMax - this.#kernelBytes);
    while (room > 0 && this.#unsent.length > 0) {
      const taken = cut(this.#unsent, room);
      room -= taken.bytes.length;
      this.unsentBytes -= taken.bytes.length;
      this.#passToKernel(taken);
    }
    if (this.unsentBytes > 0) return;
    this.#controlBytes = 0;
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    if (!this.#closing) this.#events.drained();
  }

  /** The peer receives some of the kernel's bytes, split at any place. */
  arrive(bytesMax: number): void {
    let room = bytesMax;
    while (room > 0 && this.#kernel.length > 0) {
      const taken = cut(this.#kernel, room);
      room -= taken.bytes.length;
      this.#kernelBytes -= taken.bytes.length;
      this.#events.received(taken.bytes, taken.version);
      if (this.#destroyed) return;
    }
    if (this.#closing && this.#unsent.length === 0 && this.#kernel.length === 0) {
      this.#destroyed = true;
      this.#events.closed(this.#closing);
    }
  }

  #passToKernel(piece: Piece): void {
    this.takenBytes += piece.bytes.length;
    this.#kernelBytes += piece.bytes.length;
    this.#kernel.push(piece);
  }

  #checkEvents(bytes: Buffer): void {
    ensure(this.writable, 'bounded memory', () => 'events were written to a full socket');
    const one = bytes.length > BATCH_BYTES_MAX && isOneEvent(bytes);
    const limit = UNSENT_BYTES_MAX + this.#controlBytes + (one ? bytes.length : 0);
    ensure(this.unsentBytes + bytes.length <= limit, 'bounded memory', () => {
      return `${this.unsentBytes} bytes unsent and ${bytes.length} more`;
    });
  }
}

function cut(pieces: Piece[], bytesMax: number): Piece {
  const [first] = pieces;
  if (!first) throw new Error('There is nothing to cut.');
  if (first.bytes.length <= bytesMax) {
    pieces.shift();
    return first;
  }
  pieces[0] = { bytes: first.bytes.subarray(bytesMax), version: first.version };
  return { bytes: first.bytes.subarray(0, bytesMax), version: first.version };
}

/** Whether a write has events. No other message of either transport begins like an event. */
function isEvent(bytes: Buffer): boolean {
  const head = bytes.toString('latin1', 0, 80);
  return head.includes('{"type":"event"') || /^id: \S+\ndata: /.test(head);
}

/** Whether a write of events has a single one. */
function isOneEvent(bytes: Buffer): boolean {
  if (bytes[0] !== TEXT_FRAME) return bytes.indexOf('\n\n') === bytes.length - 2;
  const length = bytes[1] === LENGTH_16 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length - length <= HEADER_BYTES_MAX;
}
