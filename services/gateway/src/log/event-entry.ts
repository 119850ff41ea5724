import type { Position } from '@tidemark/protocol';

/** How one transport writes an event; `slot` is where an entry keeps the bytes. */
export interface EventEncoding {
  readonly slot: 0 | 1;
  /** Bytes of the frame. */
  frameBytes(position: Position, json: Uint8Array): number;
  /** Writes the frame, for which there must be room. @returns where it ends */
  writeFrame(target: Buffer, at: number, event: { position: Position; json: Uint8Array }): number;
}

/**
 * Follows one event to its last write, for a trace. Events that nobody samples have none, so that
 * each place which tells one costs them a branch.
 */
export interface Receipt {
  /** A cohort has taken the event, to give it to its members. */
  taken(): void;
  /** It was written to so many connections. */
  written(connections: number): void;
  /** Every member that was there for it has it. */
  settled(): void;
}

/** Memory beside the bytes: the objects, the index and an encoding's prefix, as measured. */
const ENTRY_OVERHEAD_BYTES = 400;

/**
 * One event of the log. It is encoded once for each transport, when the first connection asks, and
 * every connection of that transport writes those same bytes: encoding a 300-byte event for each
 * of 1,000 connections would cost ten times what writing it costs.
 */
export class Entry implements Position {
  readonly epoch: string;
  readonly sequence: number;
  readonly topic: string;
  readonly timeMs: number;
  readonly json: Uint8Array;
  readonly receipt: Receipt | undefined;
  #webSocketFrame: Buffer | undefined;
  #sseFrame: Buffer | undefined;

  constructor(
    position: Position,
    event: { topic: string; timeMs: number; json: Uint8Array },
    receipt?: Receipt,
  ) {
    this.epoch = position.epoch;
    this.sequence = position.sequence;
    this.topic = event.topic;
    this.timeMs = event.timeMs;
    this.json = event.json;
    this.receipt = receipt;
  }

  /** What the tail reckons for it: its JSON and both encodings, whether they exist yet or not. */
  get chargedBytes(): number {
    return 3 * this.json.length + ENTRY_OVERHEAD_BYTES;
  }

  /** The frame that connections share. */
  frame(encoding: EventEncoding): Buffer {
    const frame = this.#kept(encoding);
    if (frame) return frame;
    const encoded = Buffer.allocUnsafe(encoding.frameBytes(this, this.json));
    encoding.writeFrame(encoded, 0, { position: this, json: this.json });
    if (encoding.slot === 0) this.#webSocketFrame = encoded;
    else this.#sseFrame = encoded;
    return encoded;
  }

  frameBytes(encoding: EventEncoding): number {
    return this.#kept(encoding)?.length ?? encoding.frameBytes(this, this.json);
  }

  /** Writes the frame elsewhere without keeping one, for who may be the only reader. */
  writeFrame(encoding: EventEncoding, target: Buffer, at: number): number {
    const frame = this.#kept(encoding);
    if (!frame) return encoding.writeFrame(target, at, { position: this, json: this.json });
    target.set(frame, at);
    return at + frame.length;
  }

  #kept({ slot }: EventEncoding): Buffer | undefined {
    return slot === 0 ? this.#webSocketFrame : this.#sseFrame;
  }
}
