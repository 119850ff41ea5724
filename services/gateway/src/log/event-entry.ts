import { eventType, type LogEvent, type Position } from '@tidemark/protocol';
import { expiryOf } from './expiring.ts';

/** Encodes an event for one transport. */
export interface EventEncoder {
  /** In which field an entry keeps the frame; 2 for none. */
  readonly slot: 0 | 1 | 2;
  /** The length of the frame in bytes. */
  frameBytes(position: Position, json: Uint8Array): number;
  /** Writes the frame into `target`, which must have room for it. @returns the index after it */
  writeFrame(target: Buffer, at: number, event: { position: Position; json: Uint8Array }): number;
}

/**
 * Delivery trace: records what happens to one sampled event, up to its last write. Events that are not
 * sampled have none, so each place that reports to a trace has one branch.
 */
export interface DeliveryTrace {
  /** A subscriber group has queued the event for its members. */
  enqueued(): void;
  /** The event was written to this many connections. */
  written(connections: number): void;
  /** A group has delivered the event to all its members, or has no member left. */
  completed(): void;
}

/** Measured memory of an entry, and of each frame that it keeps, in addition to their bytes. */
const ENTRY_OVERHEAD_BYTES = 260;
const FRAME_OVERHEAD_BYTES = 110;

/** Memory of the type that an entry keeps: a string, whose characters take two bytes at most. */
const TYPE_OVERHEAD_BYTES = 24;
const TYPE_BYTES_PER_CHARACTER = 2;

/** Larger frames get memory of their own. Node's pool would leave the rest of its blocks unused. */
const POOLED_BYTES_MAX = 1024;

/** The JSON of an event that was erased. */
const NOTHING = new Uint8Array();

/** Counts the memory of entries. */
export interface Account {
  /** @param bytes less than 0 for memory that is free again */
  add(bytes: number): void;
}

/**
 * One event of the log with its epoch, its delivery trace and its encoded frames. The first connection
 * of each transport encodes it, and every other connection of that transport writes the same bytes.
 * Encoding a 300-byte event for each of 1,000 connections would take ten times as long as writing it.
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
  #type: string | undefined;
  #expiresMs: number | undefined;
  #account: Account | undefined;

  constructor(epoch: string, event: LogEvent, deliveryTrace?: DeliveryTrace) {
    this.epoch = epoch;
    this.sequence = event.sequence;
    this.topic = event.topic;
    this.timeMs = event.timeMs;
    this.json = event.json;
    this.deliveryTrace = deliveryTrace;
  }

  /** An entry that keeps the place of one whose event is erased. No reader is given it. */
  static blankFor({ epoch, sequence, topic, timeMs }: EventEntry): EventEntry {
    const blank = new EventEntry(epoch, { sequence, topic, timeMs, json: NOTHING });
    blank.#expiresMs = Number.NEGATIVE_INFINITY;
    return blank;
  }

  /** Whether it only keeps the place of an event. */
  get erased(): boolean {
    return this.json === NOTHING;
  }

  /** Its CloudEvents type, which is read from the JSON once, and only where somebody filters by types. */
  get type(): string {
    if (this.#type !== undefined) return this.#type;
    const type = eventType(this.json);
    this.#type = type;
    // The last step, because the account may give up entries, and this one too.
    this.#account?.add(typeBytes(type));
    return type;
  }

  /** When it expires, in ms since 1970, which is read from the JSON once, when the first catch-up asks. */
  get expiresMs(): number {
    this.#expiresMs ??= expiryOf(this.json);
    return this.#expiresMs;
  }

  /** The memory that it takes, with the frames and the type that it has kept until now. */
  get chargedBytes(): number {
    const frames = [this.#webSocketFrame, this.#sseFrame].reduce(
      (sum, frame) => sum + (frame ? frame.length + FRAME_OVERHEAD_BYTES : 0),
      0,
    );
    return this.json.length + ENTRY_OVERHEAD_BYTES + frames + typeBytes(this.#type);
  }

  /** Counts its memory in an account from now on, with the frames that it will keep. */
  chargeTo(account: Account): void {
    this.#account = account;
    account.add(this.chargedBytes);
  }

  /** Gives its memory back to the account. */
  endCharge(): void {
    this.#account?.add(-this.chargedBytes);
    this.#account = undefined;
  }

  /** Encodes the frame once and keeps it for all connections of the transport. */
  frame(encoder: EventEncoder): Buffer {
    const frame = this.#kept(encoder);
    if (frame) return frame;
    const length = encoder.frameBytes(this, this.json);
    const isPooled = length <= POOLED_BYTES_MAX;
    const encoded = isPooled ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
    encoder.writeFrame(encoded, 0, { position: this, json: this.json });
    if (encoder.slot === 0) this.#webSocketFrame = encoded;
    else if (encoder.slot === 1) this.#sseFrame = encoded;
    // The last step, because the account may give up entries, and this one too.
    if (this.#kept(encoder)) this.#account?.add(length + FRAME_OVERHEAD_BYTES);
    return encoded;
  }

  frameBytes(encoder: EventEncoder): number {
    return this.#kept(encoder)?.length ?? encoder.frameBytes(this, this.json);
  }

  /** Writes the frame into `target` without keeping it, because the reader may be the only one. */
  writeFrame(encoder: EventEncoder, target: Buffer, at: number): number {
    const frame = this.#kept(encoder);
    if (!frame) return encoder.writeFrame(target, at, { position: this, json: this.json });
    target.set(frame, at);
    return at + frame.length;
  }

  #kept({ slot }: EventEncoder): Buffer | undefined {
    if (slot === 2) return undefined;
    return slot === 0 ? this.#webSocketFrame : this.#sseFrame;
  }
}

function typeBytes(type: string | undefined): number {
  return type === undefined ? 0 : TYPE_OVERHEAD_BYTES + TYPE_BYTES_PER_CHARACTER * type.length;
}
