import { noteBlock, noteFull } from './expiring.ts';

/** Bytes of one block. */
const BLOCK_BYTES = 64 * 1024;

/** Larger payloads get memory of their own, so that no more than an eighth of a block stays unused. */
const SHARED_BYTES_MAX = BLOCK_BYTES / 8;

/** A large payload that is this part of the buffer that it arrived in is not copied. */
const KEPT_PART_MIN = 0.9;

/**
 * Slab allocator: copies small payloads one after another into blocks of its own, and large ones whole. A NATS message is a
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
    if (length > SHARED_BYTES_MAX) {
      const isMost = length >= KEPT_PART_MIN * bytes.buffer.byteLength;
      return isMost ? bytes : Uint8Array.from(bytes);
    }
    if (this.#at + length > this.#block.length) {
      noteFull(this.#block);
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#at = 0;
      noteBlock(this.#block);
    }
    this.#block.set(bytes, this.#at);
    this.#at += length;
    return this.#block.subarray(this.#at - length, this.#at);
  }
}
