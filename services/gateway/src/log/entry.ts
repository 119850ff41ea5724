import type { Position } from '@tidemark/protocol';

/** How one transport writes an event; `slot` is where an entry keeps the bytes. */
export interface EventEncoding {
  readonly slot: 0 | 1;
  encodeEvent(position: Position, json: Uint8Array): Buffer;
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
  #webSocketFrame: Buffer | undefined;
  #sseFrame: Buffer | undefined;

  constructor(position: Position, event: { topic: string; timeMs: number; json: Uint8Array }) {
    this.epoch = position.epoch;
    this.sequence = position.sequence;
    this.topic = event.topic;
    this.timeMs = event.timeMs;
    this.json = event.json;
  }

  /** What the tail reckons for it: its JSON and both encodings, whether they exist yet or not. */
  get chargedBytes(): number {
    return 3 * this.json.length + ENTRY_OVERHEAD_BYTES;
  }

  frame(encoding: EventEncoding): Buffer {
    if (encoding.slot === 0) {
      this.#webSocketFrame ??= encoding.encodeEvent(this, this.json);
      return this.#webSocketFrame;
    }
    this.#sseFrame ??= encoding.encodeEvent(this, this.json);
    return this.#sseFrame;
  }
}
