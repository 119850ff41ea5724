import {
  encodeMessage,
  formatCursor,
  type ServerMessage,
  WEB_SOCKET_EVENT_SUFFIX,
  webSocketEventPrefix,
} from '@tidemark/protocol';
import type { Dialect } from '../connections/dialect.ts';

/** FIN and the opcode for text (RFC 6455 section 5.2). */
const TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** The WebSocket side of PROTOCOL.md section 6: each message as one whole, unmasked text frame. */
export const webSocketDialect: Dialect = {
  transport: 'websocket',
  slot: 0,
  encodeEvent(position, json) {
    const prefix = webSocketEventPrefix(position);
    const length = prefix.length + json.length + WEB_SOCKET_EVENT_SUFFIX.length;
    const frame = allocateFrame(length);
    let at = frame.length - length;
    at += frame.write(prefix, at, 'latin1');
    frame.set(json, at);
    frame.write(WEB_SOCKET_EVENT_SUFFIX, at + json.length, 'latin1');
    return frame;
  },
  subscribed: (id, position) =>
    textFrame({ type: 'subscribed', id, cursor: formatCursor(position) }),
  unsubscribed: (id) => textFrame({ type: 'unsubscribed', id }),
  live: (id, position) => textFrame({ type: 'live', id, cursor: formatCursor(position) }),
  gap: (id, { from, to, reason }) =>
    textFrame({ type: 'gap', id, from: formatCursor(from), to: formatCursor(to), reason }),
  heartbeat: (position) =>
    textFrame({ type: 'heartbeat', ...(position && { cursor: formatCursor(position) }) }),
  error: (id, error) => textFrame({ type: 'error', ...(id !== undefined && { id }), ...error }),
};

export function textFrame(message: ServerMessage): Buffer {
  const text = Buffer.from(encodeMessage(message));
  const frame = allocateFrame(text.length);
  frame.set(text, frame.length - text.length);
  return frame;
}

/** A frame with its header written and room for the payload. */
function allocateFrame(length: number): Buffer {
  if (length < LENGTH_16) {
    const frame = Buffer.allocUnsafe(2 + length);
    frame[0] = TEXT;
    frame[1] = length;
    return frame;
  }
  if (length < 65_536) {
    const frame = Buffer.allocUnsafe(4 + length);
    frame[0] = TEXT;
    frame[1] = LENGTH_16;
    frame.writeUInt16BE(length, 2);
    return frame;
  }
  const frame = Buffer.allocUnsafe(10 + length);
  frame[0] = TEXT;
  frame[1] = LENGTH_64;
  frame.writeBigUInt64BE(BigInt(length), 2);
  return frame;
}
