import type { ErrorBody, GapReason, Position } from '@tidemark/protocol';
import type { EventEncoder } from '../log/event-entry.ts';

/** A part of the log that no longer exists. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
  readonly reason: GapReason;
}

/** Encodes a connection's messages for one transport; `undefined` where that has no such message. */
export interface Encoder extends EventEncoder {
  readonly transport: 'websocket' | 'sse';
  /** @param gapFollows whether the next message is a gap up to the position */
  subscribed(id: string, position: Position, gapFollows: boolean): Buffer | undefined;
  unsubscribed(id: string): Buffer | undefined;
  live(id: string, position: Position): Buffer;
  gap(id: string, gap: Gap): Buffer;
  /** `count` events up to the position were skipped for newer ones of their topics. */
  skipped(id: string, count: number, position: Position): Buffer;
  /** The position is `undefined` while there is none that every subscription has passed. */
  heartbeat(position: Position | undefined): Buffer;
  error(id: string | undefined, error: ErrorBody): Buffer;
}
