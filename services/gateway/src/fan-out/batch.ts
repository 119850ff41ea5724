import type { DeliveryTrace, EventEncoder, EventEntry } from '../log/event-entry.ts';

/**
 * Most bytes in one write; a larger event is written alone. The gateway writes to a connection while
 * that holds less than `LOW_WATER_BYTES` unsent. A connection therefore never holds more than both
 * together: 64 KiB, the limit that PROTOCOL.md section 8 names.
 */
export const BATCH_BYTES_MAX = 48 * 1024;
export const LOW_WATER_BYTES = 16 * 1024;

/** Batch: encoded events that go out in one write. */
export interface Batch {
  readonly bytes: Buffer;
  readonly events: number;
  /** The sequence before the one of its first event. */
  readonly after: number;
  /** The sequence of its last event. */
  readonly through: number;
  /** The delivery traces of its sampled events. */
  readonly deliveryTraces?: readonly DeliveryTrace[];
  /** The number of connections that it was written to; counted only for the traces. */
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
    // A single frame is written as it is. Copying several into one buffer saves system calls.
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

/** Writes one batch, which has the events after `after`, up to and including `through`. */
export type WriteBatch = (
  bytes: Buffer,
  batch: Pick<Batch, 'events' | 'after' | 'through'>,
) => BatchWrite;

/**
 * The result of a write. `reusable`: the kernel has the bytes. `retained`: the socket still refers to
 * them. `full`: the socket takes no more bytes, and nothing was written.
 */
export type BatchWrite = 'reusable' | 'retained' | 'full';

/**
 * Write buffer: encodes the events of one reader into a buffer that it reuses. Most catch-up readers are
 * the only readers of their events, so frames kept for sharing would only become garbage. When 5,000
 * clients caught up on 200 events each, allocation took half of the gateway's time.
 */
export class WriteBuffer {
  #buffer = Buffer.allocUnsafeSlow(BATCH_BYTES_MAX);

  /** Writes the entries in batches. @returns false when the socket was full before the end */
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
