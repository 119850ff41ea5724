import type { ErrorBody, GapReason, Position } from '@tidemark/protocol';
import type { EventEncoder } from '../log/event-entry.ts';

/** A part of the log that is not there any more. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
  readonly reason: GapReason;
}

/** How a transport says what a connection has to say. `undefined`: it does not say that. */
export interface Encoder extends EventEncoder {
  readonly transport: 'websocket' | 'sse';
  subscribed(id: string, position: Position): Buffer | undefined;
  unsubscribed(id: string): Buffer | undefined;
  live(id: string, position: Position): Buffer;
  gap(id: string, gap: Gap): Buffer;
  /** So many events up to the position were passed over for newer ones of their topics. */
  skipped(id: string, count: number, position: Position): Buffer;
  /** Without a position while there is none that every subscription has passed. */
  heartbeat(position: Position | undefined): Buffer;
  error(id: string | undefined, error: ErrorBody): Buffer;
}
