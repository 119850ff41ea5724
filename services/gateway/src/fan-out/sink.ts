import type { CloseReason } from '@tidemark/protocol';

/** Sink: takes a connection's bytes and passes them to a real or a simulated socket. */
export interface Sink {
  /** False while the socket holds `LOW_WATER_BYTES` or more unsent; a drain follows. */
  readonly writable: boolean;
  readonly unsentBytes: number;
  /** Bytes that the network has taken so far. It grows while the peer reads. */
  readonly takenBytes: number;
  /**
   * Writes complete frames of the transport.
   *
   * @returns whether the network has all of them, so that the caller may overwrite the bytes
   */
  write(bytes: Uint8Array): boolean;
  /** Sends a ping, if the transport has pings. */
  ping(): void;
  /** Sends the reason, then closes. */
  close(reason: CloseReason, message: string): void;
}
