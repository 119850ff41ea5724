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
  /** @param follows what comes next: a gap up to the position, or last events, which come before it */
  subscribed(id: string, position: Position, follows?: 'gap' | 'last'): Buffer | undefined;
  /** Encodes the last events of a subscription, whose cursors are none to come back with. */
  last(id: string): EventEncoder;
  /** A gap before the last events of a subscription: `to` is no cursor to come back with either. */
  lastGap(id: string, gap: Gap): Buffer;
  unsubscribed(id: string): Buffer | undefined;
  live(id: string, position: Position): Buffer;
  gap(id: string, gap: Gap): Buffer;
  /** `count` events up to the position were skipped for newer ones of their topics. */
  skipped(id: string, count: number, position: Position): Buffer;
  /** The position is `undefined` while there is none that every subscription has passed. */
  heartbeat(position: Position | undefined): Buffer;
  error(id: string | undefined, error: ErrorBody): Buffer;
}
