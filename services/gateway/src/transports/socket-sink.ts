import type { Socket } from 'node:net';
import type { CloseReason } from '@tidemark/protocol';
import type { Counters } from '../counters/counters.ts';
import type { Sink } from '../fan-out/sink.ts';

/** How long a peer has to read or answer a close before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 5000;

/** The control messages of a transport. */
export interface TransportControl {
  ping(): void;
  close(reason: CloseReason, message: string): void;
}

/**
 * Writes encoded frames directly to the socket. `ws` or the response object would build the same headers
 * again for every connection. The server gives its sockets a high-water mark of `LOW_WATER_BYTES`, so
 * `drain` follows whenever the sink is not writable.
 */
export class SocketSink implements Sink {
  readonly #socket: Socket;
  readonly #control: TransportControl;
  readonly #counters: Counters;

  constructor(socket: Socket, control: TransportControl, counters: Counters) {
    this.#socket = socket;
    this.#control = control;
    this.#counters = counters;
  }

  get writable(): boolean {
    return !this.#socket.writableNeedDrain && this.#socket.writable;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get takenBytes(): number {
    // `bytesWritten` includes bytes that the kernel has not taken yet; the handle knows how many.
    const { _handle } = this.#socket as { _handle?: { writeQueueSize?: number } };
    const underWay = _handle?.writeQueueSize ?? 0;
    return this.#socket.bytesWritten - this.#socket.writableLength - underWay;
  }

  write(bytes: Uint8Array): boolean {
    this.#counters.writes++;
    this.#counters.bytesOut += bytes.length;
    this.#socket.write(bytes);
    return this.#socket.writableLength === 0;
  }

  ping(): void {
    this.#control.ping();
  }

  close(reason: CloseReason, message: string): void {
    this.#control.close(reason, message);
  }
}
