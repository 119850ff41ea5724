/** Bytes of one block. */
const BLOCK_BYTES = 64 * 1024;

/** From here on a copy would save little: what arrives larger is most of the buffer that it is in. */
const COPIED_BYTES_MAX = BLOCK_BYTES / 4;

/**
 * Copies small pieces, one behind the other, into blocks of their own. A message of NATS is a view of
 * all that was read from the socket with it: while pages of the archive come over the same
 * connection, an event of 300 bytes would keep 18 KB, and the tail many times what it reckons.
 */
export class Slab {
  #block = new Uint8Array(0);
  #at = 0;

  /** @returns the same bytes, without what they were a part of */
  keep(bytes: Uint8Array): Uint8Array {
    const { length } = bytes;
    if (length > COPIED_BYTES_MAX) return bytes;
    if (this.#at + length > this.#block.length) {
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#at = 0;
    }
    this.#block.set(bytes, this.#at);
    this.#at += length;
    return this.#block.subarray(this.#at - length, this.#at);
  }
}
