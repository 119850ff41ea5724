import type { Entry, EventEncoding } from '../log/entry.ts';

/**
 * Most bytes written at once, an event larger than that apart. A connection is written to while it
 * holds less than `LOW_WATER_BYTES` unsent, so that it never holds more than the two together:
 * 64 KiB, the limit that PROTOCOL.md section 8 names.
 */
export const CHUNK_BYTES_MAX = 48 * 1024;
export const LOW_WATER_BYTES = 16 * 1024;

/** Encoded events that go out in one write. */
export interface Chunk {
  readonly bytes: Buffer;
  readonly events: number;
  /** The position before its first event, */
  readonly after: number;
  /** and after its last. */
  readonly through: number;
}

/** Collects frames into chunks. */
export class ChunkBuilder {
  readonly #encoding: EventEncoding;
  readonly #chunks: Chunk[] = [];
  #frames: Buffer[] = [];
  #bytes = 0;
  #after = 0;
  #through = 0;

  constructor(encoding: EventEncoding) {
    this.#encoding = encoding;
  }

  add(entry: Entry): void {
    const frame = entry.frame(this.#encoding);
    if (this.#bytes > 0 && this.#bytes + frame.length > CHUNK_BYTES_MAX) this.#cut();
    if (this.#frames.length === 0) this.#after = entry.sequence - 1;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#through = entry.sequence;
  }

  finish(): readonly Chunk[] {
    if (this.#frames.length > 0) this.#cut();
    return this.#chunks;
  }

  #cut(): void {
    const [first] = this.#frames;
    if (!first) return;
    // A lone frame is written as it is; copying several into one saves a system call for each.
    const bytes = this.#frames.length === 1 ? first : Buffer.concat(this.#frames, this.#bytes);
    this.#chunks.push({
      bytes,
      events: this.#frames.length,
      after: this.#after,
      through: this.#through,
    });
    this.#frames = [];
    this.#bytes = 0;
  }
}
