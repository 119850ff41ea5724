/** Bytes of one block. */
const BLOCK_BYTES = 64 * 1024;

/** Larger payloads are not copied, because each is most of the buffer that it arrived in. */
const COPIED_BYTES_MAX = BLOCK_BYTES / 4;

/**
 * Slab allocator: copies small payloads one after another into blocks of its own. A NATS message is a
 * view of the whole buffer that was read from the socket with it. While archive pages arrive over the
 * same connection, an event of 300 bytes would retain 18 KB, so the tail would retain many times the
 * bytes that it counts.
 */
export class Slab {
  #block = new Uint8Array(0);
  #at = 0;

  /** @returns the same bytes, which retain nothing else of the buffer that they arrived in */
  copy(bytes: Uint8Array): Uint8Array {
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
