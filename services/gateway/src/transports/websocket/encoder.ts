import {
  cursorLength,
  encodeMessage,
  formatCursor,
  type ServerMessage,
  WEB_SOCKET_EVENT_SUFFIX,
  webSocketEventPrefix,
} from '@tidemark/protocol';
import type { Encoder } from '../../connections/encoder.ts';

/** FIN and the opcode for text (RFC 6455 section 5.2). */
const TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

const START = { epoch: '', sequence: 0 };
const PREFIX_BYTES = webSocketEventPrefix(START).length - cursorLength(START);
const SUFFIX = Buffer.from(WEB_SOCKET_EVENT_SUFFIX);

/** Encodes the messages of PROTOCOL.md section 6, each as one whole, unmasked text frame. */
export const webSocketEncoder: Encoder = {
  transport: 'websocket',
  slot: 0,
  frameBytes(position, json) {
    const length = PREFIX_BYTES + cursorLength(position) + json.length + SUFFIX.length;
    return headerBytes(length) + length;
  },
  writeFrame(target, start, { position, json }) {
    const prefix = webSocketEventPrefix(position);
    let at = writeHeader(target, start, prefix.length + json.length + SUFFIX.length);
    at += target.write(prefix, at, 'latin1');
    target.set(json, at);
    at += json.length;
    target.set(SUFFIX, at);
    return at + SUFFIX.length;
  },
  subscribed: (id, position) =>
    textFrame({ type: 'subscribed', id, cursor: formatCursor(position) }),
  unsubscribed: (id) => textFrame({ type: 'unsubscribed', id }),
  live: (id, position) => textFrame({ type: 'live', id, cursor: formatCursor(position) }),
  gap: (id, { from, to, reason }) =>
    textFrame({ type: 'gap', id, from: formatCursor(from), to: formatCursor(to), reason }),
  skipped: (id, count, position) =>
    textFrame({ type: 'skipped', id, count, cursor: formatCursor(position) }),
  heartbeat: (position) =>
    textFrame({ type: 'heartbeat', ...(position && { cursor: formatCursor(position) }) }),
  error: (id, error) => textFrame({ type: 'error', ...(id !== undefined && { id }), ...error }),
};

export function textFrame(message: ServerMessage): Buffer {
  const text = Buffer.from(encodeMessage(message));
  const frame = Buffer.allocUnsafe(headerBytes(text.length) + text.length);
  frame.set(text, writeHeader(frame, 0, text.length));
  return frame;
}

function headerBytes(length: number): number {
  if (length < LENGTH_16) return 2;
  return length < 65_536 ? 4 : 10;
}

/** @returns where the payload begins */
function writeHeader(frame: Buffer, at: number, length: number): number {
  frame[at] = TEXT;
  if (length < LENGTH_16) {
    frame[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    frame[at + 1] = LENGTH_16;
    return frame.writeUInt16BE(length, at + 2);
  }
  frame[at + 1] = LENGTH_64;
  return frame.writeBigUInt64BE(BigInt(length), at + 2);
}
