import type { LogEvent, Position } from '@tidemark/protocol';

/** Encodes an event for one transport. `slot` is where an entry keeps the encoded frame. */
export interface EventEncoder {
  readonly slot: 0 | 1;
  /** Bytes of the frame. */
  frameBytes(position: Position, json: Uint8Array): number;
  /** Writes the frame into `target`, which has room for it. @returns where it ends */
  writeFrame(target: Buffer, at: number, event: { position: Position; json: Uint8Array }): number;
}

/**
 * Delivery trace: follows one sampled event to its last write. Events that are not sampled have none,
 * which costs each place that reports to it a branch.
 */
export interface DeliveryTrace {
  /** A subscriber group has queued the event for its members. */
  enqueued(): void;
  /** It was written to so many connections. */
  written(connections: number): void;
  /** A group has delivered the event to all its members, or has none left. */
  completed(): void;
}

/** Measured memory of an entry beside its bytes: objects, index, and the prefix of a frame. */
const ENTRY_OVERHEAD_BYTES = 400;

/**
 * One event of the log with its epoch, its delivery trace and its encoded frames. The first connection of each transport encodes it, and every other connection
 * of that transport writes the same bytes. Encoding a 300-byte event for each of 1,000 connections
 * would cost ten times what writing it costs.
 */
export class EventEntry implements LogEvent, Position {
  readonly epoch: string;
  readonly sequence: number;
  readonly topic: string;
  readonly timeMs: number;
  readonly json: Uint8Array;
  readonly deliveryTrace: DeliveryTrace | undefined;
  #webSocketFrame: Buffer | undefined;
  #sseFrame: Buffer | undefined;

  constructor(epoch: string, event: LogEvent, deliveryTrace?: DeliveryTrace) {
    this.epoch = epoch;
    this.sequence = event.sequence;
    this.topic = event.topic;
    this.timeMs = event.timeMs;
    this.json = event.json;
    this.deliveryTrace = deliveryTrace;
  }

  /** Counted against the tail's limit: the JSON and both frames, whether they exist yet or not. */
  get chargedBytes(): number {
    return 3 * this.json.length + ENTRY_OVERHEAD_BYTES;
  }

  /** The frame, kept for all connections of the transport. */
  frame(encoder: EventEncoder): Buffer {
    const frame = this.#kept(encoder);
    if (frame) return frame;
    const encoded = Buffer.allocUnsafe(encoder.frameBytes(this, this.json));
    encoder.writeFrame(encoded, 0, { position: this, json: this.json });
    if (encoder.slot === 0) this.#webSocketFrame = encoded;
    else this.#sseFrame = encoded;
    return encoded;
  }

  frameBytes(encoder: EventEncoder): number {
    return this.#kept(encoder)?.length ?? encoder.frameBytes(this, this.json);
  }

  /** Writes the frame into `target` without keeping it, for a reader that may be the only one. */
  writeFrame(encoder: EventEncoder, target: Buffer, at: number): number {
    const frame = this.#kept(encoder);
    if (!frame) return encoder.writeFrame(target, at, { position: this, json: this.json });
    target.set(frame, at);
    return at + frame.length;
  }

  #kept({ slot }: EventEncoder): Buffer | undefined {
    return slot === 0 ? this.#webSocketFrame : this.#sseFrame;
  }
}
