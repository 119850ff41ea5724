import {
  cursorLength,
  formatCursor,
  SSE_COMMENT,
  SSE_EVENT_SUFFIX,
  sseError,
  sseEventPrefix,
  sseGap,
  sseLive,
  ssePosition,
  sseSkipped,
  toChunk,
} from '@tidemark/protocol';
import type { Encoder } from '../../connections/encoder.ts';
import type { EventEncoder } from '../../log/event-entry.ts';

const START = { epoch: '', sequence: 0 };
const PREFIX_BYTES = sseEventPrefix(START).length - cursorLength(START);
const SUFFIX = Buffer.from(SSE_EVENT_SUFFIX);
const CHUNK_SUFFIX = Buffer.from(`${SSE_EVENT_SUFFIX}\r\n`);
const LINE_END_BYTES = 2;

/**
 * Encodes the blocks of PROTOCOL.md section 7 as chunks of the body. Each event is a chunk of its own, so its
 * bytes are the same for every SSE connection.
 */
export const sseEncoder: Encoder = createEncoder(toChunk, {
  slot: 1,
  frameBytes(position, json) {
    const bytes = blockBytes(position, json);
    return hexLength(bytes) + LINE_END_BYTES + bytes + LINE_END_BYTES;
  },
  writeFrame(target, start, { position, json }) {
    const head = `${blockBytes(position, json).toString(16)}\r\n${sseEventPrefix(position)}`;
    return writeFrame(target, start, [head, json, CHUNK_SUFFIX]);
  },
});

/** For clients and proxies that speak HTTP/1.0, which has no chunks: their body ends with the connection. */
export const plainSseEncoder: Encoder = createEncoder((block) => block, {
  slot: 2,
  frameBytes: blockBytes,
  writeFrame(target, start, { position, json }) {
    return writeFrame(target, start, [sseEventPrefix(position), json, SUFFIX]);
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
  return PREFIX_BYTES + cursorLength(position) + json.length + SUFFIX.length;
}

function writeFrame(
  target: Buffer,
  start: number,
  [head, json, suffix]: readonly [string, Uint8Array, Buffer],
): number {
  let at = start + target.write(head, start, 'latin1');
  target.set(json, at);
  at += json.length;
  target.set(suffix, at);
  return at + suffix.length;
}

function hexLength(value: number): number {
  return (35 - Math.clz32(value)) >> 2;
}
