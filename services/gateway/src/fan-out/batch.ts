import type { Entry, EventEncoding, Receipt } from '../log/event-entry.ts';

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
  /** Of those of its events that are followed. */
  readonly receipts?: readonly Receipt[];
  /** How many connections it was written to; counted for the receipts alone. */
  written: number;
}

/** Collects frames into chunks. */
export class ChunkBuilder {
  readonly #encoding: EventEncoding;
  readonly #chunks: Chunk[] = [];
  #frames: Buffer[] = [];
  #bytes = 0;
  #after = 0;
  #through = 0;
  #receipts: Receipt[] | undefined;

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
    if (entry.receipt) {
      this.#receipts ??= [];
      this.#receipts.push(entry.receipt);
    }
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
      written: 0,
      ...(this.#receipts && { receipts: this.#receipts }),
    });
    this.#receipts = undefined;
    this.#frames = [];
    this.#bytes = 0;
  }
}

/** What the writer of a gathered chunk is told. */
export type WriteGathered = (
  bytes: Buffer,
  place: Pick<Chunk, 'events' | 'after' | 'through'>,
) => GatheredWrite;

/** `reusable`: the kernel has the bytes. `full`: it took no more; nothing was written. */
export type GatheredWrite = 'reusable' | 'kept' | 'full';

/**
 * Puts the frames of one reader together in a buffer that is used again and again. Frames that are
 * kept for sharing would be garbage here: most catch-ups are the only readers of their events. With
 * 5,000 clients catching up on 200 events each, allocating took half of the gateway's time.
 */
export class Gatherer {
  #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX);

  /** Writes the entries in chunks. @returns false when a write was refused: nothing after it was */
  write(entries: Iterable<Entry>, encoding: EventEncoding, write: WriteGathered): boolean {
    let at = 0;
    let events = 0;
    let after = 0;
    let through = 0;
    const cut = (bytes: Buffer): boolean => {
      const result = write(bytes, { events, after, through });
      if (result === 'kept') this.#buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX);
      at = 0;
      events = 0;
      return result !== 'full';
    };
    for (const entry of entries) {
      const size = entry.frameBytes(encoding);
      if (events > 0 && at + size > CHUNK_BYTES_MAX && !cut(this.#buffer.subarray(0, at))) {
        return false;
      }
      if (events === 0) after = entry.sequence - 1;
      events++;
      through = entry.sequence;
      if (size <= CHUNK_BYTES_MAX) at = entry.writeFrame(encoding, this.#buffer, at);
      else if (!cut(entry.frame(encoding))) return false;
    }
    return events === 0 || cut(this.#buffer.subarray(0, at));
  }
}
