import type { Socket } from 'node:net';
import type { CloseReason } from '@tidemark/protocol';
import type { Counts } from '../counters/counters.ts';
import type { Outlet } from '../fan-out/sink.ts';

/** How long a peer may take to take or answer a close before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 5000;

/** What only the transport knows how to do. */
export interface Farewell {
  ping(): void;
  close(reason: CloseReason, message: string): void;
}

/**
 * Writes frames straight to the socket: they are encoded already, and going through `ws` or the
 * response object would build the same headers again for every connection. The server gives its
 * sockets a high-water mark of `LOW_WATER_BYTES`, so that `drain` follows whenever this is not
 * writable.
 */
export class SocketOutlet implements Outlet {
  readonly #socket: Socket;
  readonly #farewell: Farewell;
  readonly #counts: Counts;

  constructor(socket: Socket, farewell: Farewell, counts: Counts) {
    this.#socket = socket;
    this.#farewell = farewell;
    this.#counts = counts;
  }

  get writable(): boolean {
    return !this.#socket.writableNeedDrain && this.#socket.writable;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get takenBytes(): number {
    // A write that the kernel took in part counts only when it is through; the handle knows more.
    const { _handle } = this.#socket as { _handle?: { writeQueueSize?: number } };
    const underWay = _handle?.writeQueueSize ?? 0;
    return this.#socket.bytesWritten - this.#socket.writableLength - underWay;
  }

  write(bytes: Uint8Array): boolean {
    this.#counts.writes++;
    this.#counts.bytesOut += bytes.length;
    this.#socket.write(bytes);
    return this.#socket.writableLength === 0;
  }

  ping(): void {
    this.#farewell.ping();
  }

  close(reason: CloseReason, message: string): void {
    this.#farewell.close(reason, message);
  }
}
