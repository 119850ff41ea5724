import type { Position } from './cursors.ts';
import { formatCursor } from './cursors.ts';
import type { ErrorBody } from './errors.ts';
import type { GapReason, ServerMessage } from './messages.ts';

/*
 * The text of what the gateway sends, for both transports. Event texts are split around the JSON
 * so that the stored bytes go between them without being decoded.
 */

/** WebSocket: `{"type":"event","cursor":"…","event":` + JSON + `}` */
export function webSocketEventPrefix(position: Position): string {
  return `{"type":"event","cursor":"${formatCursor(position)}","event":`;
}
export const WEB_SOCKET_EVENT_SUFFIX = '}';

/** SSE: `id: …\ndata: ` + JSON on one line + `\n\n` */
export function sseEventPrefix(position: Position): string {
  return `id: ${formatCursor(position)}\ndata: `;
}
export const SSE_EVENT_SUFFIX = '\n\n';

export function encodeMessage(message: ServerMessage): string {
  return JSON.stringify(message);
}

/** The position moves on without an event: `id:` and no data, which EventSource keeps silently. */
export function sseCursor(position: Position): string {
  return `id: ${formatCursor(position)}\n\n`;
}

/** Keeps a connection open before there is a position to tell. */
export const SSE_COMMENT = ':\n\n';

export function sseRetry(retryMs: number): string {
  return `retry: ${retryMs}\n\n`;
}

export function sseLive(position: Position): string {
  const cursor = formatCursor(position);
  return sseControl('live', { cursor }, cursor);
}

export function sseGap(gap: { from: string; to: string; reason: GapReason }): string {
  return sseControl('gap', gap, gap.to);
}

export function sseSkipped(count: number, position: Position): string {
  const cursor = formatCursor(position);
  return sseControl('skipped', { count, cursor }, cursor);
}

export function sseError(error: ErrorBody): string {
  return sseControl('error', error);
}

function sseControl(name: string, body: object, cursor?: string): string {
  const id = cursor === undefined ? '' : `id: ${cursor}\n`;
  return `${id}event: ${name}\ndata: ${JSON.stringify(body)}\n\n`;
}
