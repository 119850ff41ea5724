import type { CloseReason } from '@tidemark/protocol';

/** Where a connection's bytes go: a socket, or a simulation's idea of one. */
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
  /** Asks the peer for a sign of life, where the transport can. */
  ping(): void;
  /** Says why, then closes. */
  close(reason: CloseReason, message: string): void;
}
