import type { WebSocket } from 'ws';
import type { Clock } from '../../scheduling/clock.ts';

/** A part of `ws` that is not in its types: the opcode of the message whose frames are arriving, or 0. */
interface Receiving {
  readonly _receiver?: { readonly _fragmented?: number };
}

/**
 * Watches whether a message in several frames is arriving. `ws` has no event for that.
 *
 * @returns gives the time of the first call that found the message, so it has to be called now and then;
 *   `undefined` while no message is arriving
 */
export function watchParts(webSocket: WebSocket, clock: Clock): () => number | undefined {
  let sinceMs: number | undefined;
  webSocket.on('message', () => {
    sinceMs = undefined;
  });
  return () => {
    const { _receiver: receiver } = webSocket as unknown as Receiving;
    if (!receiver?._fragmented) sinceMs = undefined;
    else sinceMs ??= clock.nowMs();
    return sinceMs;
  };
}
