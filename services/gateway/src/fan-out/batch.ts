import type { DeliveryTrace, EventEncoder, EventEntry } from '../log/event-entry.ts';

/**
 * Most bytes in one write; a larger event is written alone. A connection is written to while it
 * holds less than `LOW_WATER_BYTES` unsent. So it never holds more than the two together: 64 KiB, the
 * limit that PROTOCOL.md section 8 names.
 */
export const BATCH_BYTES_MAX = 48 * 1024;
export const LOW_WATER_BYTES = 16 * 1024;

/** Encoded events that go out in one write. */
export interface Batch {
  readonly bytes: Buffer;
  readonly events: number;
  /** The sequence before its first event. */
  readonly after: number;
  /** The sequence of its last event. */
  readonly through: number;
  /** Those of its events that are sampled. */
  readonly deliveryTraces?: readonly DeliveryTrace[];
  /** Connections that it was written to; counted only for the traces. */
  written: number;
}

/** Collects frames into batches. */
export class BatchBuilder {
  readonly #encoder: EventEncoder;
  readonly #batches: Batch[] = [];
  #frames: Buffer[] = [];
  #bytes = 0;
  #after = 0;
  #through = 0;
  #deliveryTraces: DeliveryTrace[] | undefined;

  constructor(encoder: EventEncoder) {
    this.#encoder = encoder;
  }

  addEntry(entry: EventEntry): void {
    const frame = entry.frame(this.#encoder);
    if (this.#bytes > 0 && this.#bytes + frame.length > BATCH_BYTES_MAX) this.#cut();
    if (this.#frames.length === 0) this.#after = entry.sequence - 1;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#through = entry.sequence;
    if (entry.deliveryTrace) {
      this.#deliveryTraces ??= [];
      this.#deliveryTraces.push(entry.deliveryTrace);
    }
  }

  finish(): readonly Batch[] {
    if (this.#frames.length > 0) this.#cut();
    return this.#batches;
  }

  #cut(): void {
    const [first] = this.#frames;
    if (!first) return;
    // A lone frame is written as it is; copying several into one saves a system call for each.
    const bytes = this.#frames.length === 1 ? first : Buffer.concat(this.#frames, this.#bytes);
    this.#batches.push({
      bytes,
      events: this.#frames.length,
      after: this.#after,
      through: this.#through,
      written: 0,
      ...(this.#deliveryTraces && { deliveryTraces: this.#deliveryTraces }),
    });
    this.#deliveryTraces = undefined;
    this.#frames = [];
    this.#bytes = 0;
  }
}

/** Writes one batch, which spans `after` to `through`. */
export type WriteBatch = (
  bytes: Buffer,
  batch: Pick<Batch, 'events' | 'after' | 'through'>,
) => BatchWrite;

/**
 * `reusable`: the kernel has the bytes. `retained`: the socket still refers to them. `full`: the
 * socket takes no more, and nothing was written.
 */
export type BatchWrite = 'reusable' | 'retained' | 'full';

/**
 * Encodes the events of one reader into a buffer that is used again and again. Most catch-ups are the
 * only readers of their events, so keeping their frames for sharing would only make garbage: with
 * 5,000 clients catching up on 200 events each, allocation took half of the gateway's time.
 */
export class WriteBuffer {
  #buffer = Buffer.allocUnsafeSlow(BATCH_BYTES_MAX);

  /** Writes the entries in batches. @returns false when a write found the socket full */
  writeEntries(entries: Iterable<EventEntry>, encoder: EventEncoder, write: WriteBatch): boolean {
    let length = 0;
    let events = 0;
    let after = 0;
    let through = 0;
    const writeBatch = (bytes: Buffer): boolean => {
      const result = write(bytes, { events, after, through });
      if (result === 'retained') this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES_MAX);
      length = 0;
      events = 0;
      return result !== 'full';
    };
    for (const entry of entries) {
      const size = entry.frameBytes(encoder);
      const overflows = events > 0 && length + size > BATCH_BYTES_MAX;
      if (overflows && !writeBatch(this.#buffer.subarray(0, length))) return false;
      if (events === 0) after = entry.sequence - 1;
      events++;
      through = entry.sequence;
      if (size <= BATCH_BYTES_MAX) length = entry.writeFrame(encoder, this.#buffer, length);
      else if (!writeBatch(entry.frame(encoder))) return false;
    }
    return events === 0 || writeBatch(this.#buffer.subarray(0, length));
  }
}
