import {
  cursorLength,
  formatCursor,
  SSE_COMMENT,
  SSE_EVENT_SUFFIX,
  sseCursor,
  sseError,
  sseEventPrefix,
  sseGap,
  sseLive,
  sseSkipped,
} from '@tidemark/protocol';
import type { Encoder } from '../../connections/encoder.ts';

const START = { epoch: '', sequence: 0 };
const PREFIX_BYTES = sseEventPrefix(START).length - cursorLength(START);
const SUFFIX = Buffer.from(SSE_EVENT_SUFFIX);

/**
 * Encodes the blocks of PROTOCOL.md section 7. The body ends with the connection and has no chunks, so
 * the bytes of an event are the same for every SSE connection.
 */
export const sseEncoder: Encoder = {
  transport: 'sse',
  slot: 1,
  frameBytes(position, json) {
    return PREFIX_BYTES + cursorLength(position) + json.length + SUFFIX.length;
  },
  writeFrame(target, start, { position, json }) {
    let at = start + target.write(sseEventPrefix(position), start, 'latin1');
    target.set(json, at);
    at += json.length;
    target.set(SUFFIX, at);
    return at + SUFFIX.length;
  },
  // A client that is cut off before the gap must not come back with the cursor after it.
  subscribed: (_id, position, gapFollows) =>
    gapFollows ? undefined : Buffer.from(sseCursor(position)),
  unsubscribed: () => undefined,
  live: (_id, position) => Buffer.from(sseLive(position)),
  gap: (_id, { from, to, reason }) =>
    Buffer.from(sseGap({ from: formatCursor(from), to: formatCursor(to), reason })),
  skipped: (_id, count, position) => Buffer.from(sseSkipped(count, position)),
  heartbeat: (position) => Buffer.from(position ? sseCursor(position) : SSE_COMMENT),
  error: (_id, error) => Buffer.from(sseError(error)),
};
