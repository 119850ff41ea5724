import {
  cursorLength,
  encodeMessage,
  formatCursor,
  type Position,
  type ServerMessage,
  WEB_SOCKET_EVENT_SUFFIX,
  webSocketEventPrefix,
} from '@tidemark/protocol';
import type { Encoder, Gap } from '../../connections/encoder.ts';
import type { EventEncoder } from '../../log/event-entry.ts';

/** FIN and the opcode for text (RFC 6455 section 5.2). */
const TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

const START = { epoch: '', sequence: 0 };
const PREFIX_BYTES = webSocketEventPrefix(START).length - cursorLength(START);
const SUFFIX = Buffer.from(WEB_SOCKET_EVENT_SUFFIX);
const LAST_MIDDLE = '","event":';

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
  last: lastEncoder,
  lastGap: gapFrame,
  subscribed: (id, position) =>
    textFrame({ type: 'subscribed', id, cursor: formatCursor(position) }),
  unsubscribed: (id) => textFrame({ type: 'unsubscribed', id }),
  live: (id, position) => textFrame({ type: 'live', id, cursor: formatCursor(position) }),
  gap: gapFrame,
  skipped: (id, count, position) =>
    textFrame({ type: 'skipped', id, count, cursor: formatCursor(position) }),
  heartbeat: (position) =>
    textFrame({ type: 'heartbeat', ...(position && { cursor: formatCursor(position) }) }),
  error: (id, error) => textFrame({ type: 'error', ...(id !== undefined && { id }), ...error }),
};

function gapFrame(id: string, { from, to, reason }: Gap): Buffer {
  return textFrame({ type: 'gap', id, from: formatCursor(from), to: formatCursor(to), reason });
}

/** Encodes `{"type":"last","id":"…","cursor":"…","event":…}`. Its bytes are for one subscription, so none are kept. */
function lastEncoder(id: string): EventEncoder {
  const prefix = Buffer.from(`{"type":"last","id":${JSON.stringify(id)},"cursor":"`);
  const fixed = prefix.length + LAST_MIDDLE.length + SUFFIX.length;
  const lengthOf = (position: Position, json: Uint8Array) =>
    fixed + cursorLength(position) + json.length;
  return {
    slot: 2,
    frameBytes(position, json) {
      const length = lengthOf(position, json);
      return headerBytes(length) + length;
    },
    writeFrame(target, start, { position, json }) {
      let at = writeHeader(target, start, lengthOf(position, json));
      target.set(prefix, at);
      at += prefix.length;
      at += target.write(formatCursor(position) + LAST_MIDDLE, at, 'latin1');
      target.set(json, at);
      at += json.length;
      target.set(SUFFIX, at);
      return at + SUFFIX.length;
    },
  };
}

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
