import {
  cursorLength,
  formatCursor,
  SSE_COMMENT,
  SSE_EVENT_PREFIX,
  sseError,
  sseEventSuffix,
  sseGap,
  sseLive,
  ssePosition,
  sseSkipped,
  toChunk,
} from '@tidemark/protocol';
import type { Encoder } from '../../connections/encoder.ts';
import type { EventEncoder } from '../../log/event-entry.ts';

const START = { epoch: '', sequence: 0 };
const FIXED_BYTES = SSE_EVENT_PREFIX.length + sseEventSuffix(START).length - cursorLength(START);
const LINE_END = '\r\n';

/**
 * Encodes the blocks of PROTOCOL.md section 7 as chunks of the body. Each event is a chunk of its own, so its
 * bytes are the same for every SSE connection.
 */
export const sseEncoder: Encoder = createEncoder(toChunk, {
  slot: 1,
  frameBytes(position, json) {
    const bytes = blockBytes(position, json);
    return hexLength(bytes) + LINE_END.length + bytes + LINE_END.length;
  },
  writeFrame(target, start, { position, json }) {
    const head = `${blockBytes(position, json).toString(16)}${LINE_END}${SSE_EVENT_PREFIX}`;
    return writeFrame(target, start, [head, json, sseEventSuffix(position) + LINE_END]);
  },
});

/** For clients and proxies that speak HTTP/1.0, which has no chunks: their body ends with the connection. */
export const plainSseEncoder: Encoder = createEncoder((block) => block, {
  slot: 2,
  frameBytes: blockBytes,
  writeFrame(target, start, { position, json }) {
    return writeFrame(target, start, [SSE_EVENT_PREFIX, json, sseEventSuffix(position)]);
  },
});

function createEncoder(frame: (block: string) => string, events: EventEncoder): Encoder {
  const encode = (block: string): Buffer => Buffer.from(frame(block));
  return {
    transport: 'sse',
    ...events,
    // A client that is cut off before the gap must not come back with the cursor after it.
    subscribed: (_id, position, gapFollows) =>
      gapFollows ? undefined : encode(ssePosition(position)),
    unsubscribed: () => undefined,
    live: (_id, position) => encode(sseLive(position)),
    gap: (_id, { from, to, reason }) =>
      encode(sseGap({ from: formatCursor(from), to: formatCursor(to), reason })),
    skipped: (_id, count, position) => encode(sseSkipped(count, position)),
    heartbeat: (position) => encode(position ? ssePosition(position) : SSE_COMMENT),
    error: (_id, error) => encode(sseError(error)),
  };
}

function blockBytes(position: Parameters<EventEncoder['frameBytes']>[0], json: Uint8Array): number {
  return FIXED_BYTES + cursorLength(position) + json.length;
}

function writeFrame(
  target: Buffer,
  start: number,
  [head, json, suffix]: readonly [string, Uint8Array, string],
): number {
  let at = start + target.write(head, start, 'latin1');
  target.set(json, at);
  at += json.length;
  return at + target.write(suffix, at, 'latin1');
}

function hexLength(value: number): number {
  return (35 - Math.clz32(value)) >> 2;
}
