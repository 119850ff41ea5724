import type { Position } from './cursors.ts';
import { formatCursor } from './cursors.ts';
import type { ErrorBody } from './errors.ts';
import type { GapReason, ServerMessage } from './server-messages.ts';

/*
 * The text of what the gateway sends, for both transports. Event texts are split around the JSON
 * so that the stored bytes go between them without being decoded.
 */

/** What the block of a gap tells, with cursors. */
interface SseGap {
  readonly from: string;
  readonly to: string;
  readonly reason: GapReason;
}

/** The text before the JSON of a WebSocket event message: `{"type":"event","cursor":"…","event":`. */
export function webSocketEventPrefix(position: Position): string {
  return `{"type":"event","cursor":"${formatCursor(position)}","event":`;
}

/** The text after the JSON of a WebSocket event message. */
export const WEB_SOCKET_EVENT_SUFFIX = '}';

/**
 * The text before the JSON of an SSE event block. The id comes after the JSON: some clients keep the id of a
 * block that was cut off within its data, and would come back after an event that they never had.
 */
export const SSE_EVENT_PREFIX = 'data: ';

/** The text after the JSON of an SSE event block: `\nid: …\n\n`. */
export function sseEventSuffix(position: Position): string {
  return `\nid: ${formatCursor(position)}\n\n`;
}

/** The text of a WebSocket message. */
export function encodeMessage(message: ServerMessage): string {
  return JSON.stringify(message);
}

/**
 * The block that moves the client's cursor without an event of the log. It has data, because several
 * clients drop a block without data, and its id with it, or pass it on as an empty message.
 */
export function ssePosition(position: Position): string {
  const cursor = formatCursor(position);
  return sseControl('position', { cursor }, cursor);
}

/** The block that names the position of last events. It has no id, because a client must not come back there yet. */
export function sseLastPosition(position: Position): string {
  return sseControl('position', { cursor: formatCursor(position) });
}

/** The text after the JSON of an SSE block with a last event, which has no id. */
export const SSE_LAST_SUFFIX = '\n\n';

/** The line that keeps a connection open while it has no position. It ends no block. */
export const SSE_COMMENT = ':\n';

/**
 * The lines with which a stream begins. They belong to its first block: the reconnection delay, and the cursor
 * that the client came back with. Where the first block has no id of its own, such as an error, clients that
 * keep the id of each block would otherwise have none left.
 */
export function sseBegin(retryMs: number, cursor: string | undefined): string {
  return `retry: ${retryMs}\n${cursor === undefined ? '' : `id: ${cursor}\n`}`;
}

/**
 * A chunk of a body (RFC 9112 section 7.1). A body in chunks has an end of its own, so that a client can
 * tell it from a connection that was cut.
 */
export function toChunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** The end of a body in chunks. */
export const LAST_CHUNK = '0\r\n\r\n';

/** The block that tells a client that its subscription is live. */
export function sseLive(position: Position): string {
  const cursor = formatCursor(position);
  return sseControl('live', { cursor }, cursor);
}

/** The block of a gap. The client continues after `to`. */
export function sseGap(gap: SseGap): string {
  return sseControl('gap', gap, gap.to);
}

/** The block of a gap before last events. It has no id, because a client must not come back there yet. */
export function sseLastGap(gap: SseGap): string {
  return sseControl('gap', gap);
}

/** The block that tells how many events up to a position were skipped. */
export function sseSkipped(count: number, position: Position): string {
  const cursor = formatCursor(position);
  return sseControl('skipped', { count, cursor }, cursor);
}

/** The block of an error. The connection ends after it. */
export function sseError(error: ErrorBody): string {
  return sseControl('error', error);
}

function sseControl(name: string, body: object, cursor?: string): string {
  const id = cursor === undefined ? '' : `id: ${cursor}\n`;
  return `event: ${name}\ndata: ${JSON.stringify(body)}\n${id}\n`;
}
