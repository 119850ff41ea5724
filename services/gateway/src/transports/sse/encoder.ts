import {
  cursorLength,
  formatCursor,
  SSE_COMMENT,
  SSE_EVENT_PREFIX,
  SSE_LAST_SUFFIX,
  sseError,
  sseEventSuffix,
  sseGap,
  sseLastGap,
  sseLastPosition,
  sseLive,
  ssePosition,
  sseSkipped,
  toChunk,
} from '@tidemark/protocol';
import type { Encoder, Gap } from '../../connections/encoder.ts';
import type { EventEncoder } from '../../log/event-entry.ts';

const START = { epoch: '', sequence: 0 };
const FIXED_BYTES = SSE_EVENT_PREFIX.length + sseEventSuffix(START).length - cursorLength(START);
const LINE_END = '\r\n';

/** Last events have no id, so that a client that is cut off before the end of them begins anew. */
const LAST_FIXED_BYTES = SSE_EVENT_PREFIX.length + SSE_LAST_SUFFIX.length;

/**
 * Encodes the blocks of PROTOCOL.md section 7 as chunks of the body. Each event is a chunk of its own, so its
 * bytes are the same for every SSE connection.
 */
export const sseEncoder: Encoder = createEncoder(toChunk, lastChunk(), {
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
export const plainSseEncoder: Encoder = createEncoder((block) => block, lastBlock(), {
  slot: 2,
  frameBytes: blockBytes,
  writeFrame(target, start, { position, json }) {
    return writeFrame(target, start, [SSE_EVENT_PREFIX, json, sseEventSuffix(position)]);
  },
});

function createEncoder(
  frame: (block: string) => string,
  last: EventEncoder,
  events: EventEncoder,
): Encoder {
  const encode = (block: string): Buffer => Buffer.from(frame(block));
  return {
    transport: 'sse',
    ...events,
    // A client that is cut off before the gap must not come back with the cursor after it.
    subscribed(_id, position, follows) {
      if (follows === 'gap') return undefined;
      return encode(follows === 'last' ? sseLastPosition(position) : ssePosition(position));
    },
    last: () => last,
    lastGap: (_id, gap) => encode(sseLastGap(toText(gap))),
    unsubscribed: () => undefined,
    live: (_id, position) => encode(sseLive(position)),
    gap: (_id, gap) => encode(sseGap(toText(gap))),
    skipped: (_id, count, position) => encode(sseSkipped(count, position)),
    heartbeat: (position) => encode(position ? ssePosition(position) : SSE_COMMENT),
    error: (_id, error) => encode(sseError(error)),
  };
}

function lastChunk(): EventEncoder {
  const blockLength = (json: Uint8Array) => LAST_FIXED_BYTES + json.length;
  return {
    slot: 2,
    frameBytes(_position, json) {
      const bytes = blockLength(json);
      return hexLength(bytes) + LINE_END.length + bytes + LINE_END.length;
    },
    writeFrame(target, start, { json }) {
      const head = `${blockLength(json).toString(16)}${LINE_END}${SSE_EVENT_PREFIX}`;
      return writeFrame(target, start, [head, json, SSE_LAST_SUFFIX + LINE_END]);
    },
  };
}

function lastBlock(): EventEncoder {
  return {
    slot: 2,
    frameBytes: (_position, json) => LAST_FIXED_BYTES + json.length,
    writeFrame(target, start, { json }) {
      return writeFrame(target, start, [SSE_EVENT_PREFIX, json, SSE_LAST_SUFFIX]);
    },
  };
}

function toText({ from, to, reason }: Gap): Parameters<typeof sseGap>[0] {
  return { from: formatCursor(from), to: formatCursor(to), reason };
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
