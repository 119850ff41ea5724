import type { CloseReason } from '@tidemark/protocol';

/** Sink: takes a connection's bytes, for a socket or a simulated one. */
export interface Sink {
  /** False while the socket holds `LOW_WATER_BYTES` or more unsent; a drain follows. */
  readonly writable: boolean;
  readonly unsentBytes: number;
  /** Bytes that the peer's side of the network has taken so far: grows while it reads. */
  readonly takenBytes: number;
  /**
   * Frames of the transport, complete.
   *
   * @returns whether the network has them all, so that the bytes may be overwritten
   */
  write(bytes: Uint8Array): boolean;
  /** Sends a ping, where the transport has one. */
  ping(): void;
  /** Sends the reason, then closes. */
  close(reason: CloseReason, message: string): void;
}
