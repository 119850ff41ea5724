import { z } from 'zod';
import { SUBSCRIPTION_ID_LENGTH_MAX } from './messages.ts';
import { cursorShape, errorShape, gapShape } from './schemas.ts';

const id = z.string().min(1).max(SUBSCRIPTION_ID_LENGTH_MAX);
const cursor = cursorShape;

/** The messages to a WebSocket client, except `event` (PROTOCOL.md section 6.3). */
export const serverMessageShape = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('welcome'),
    connection: z.string(),
    heartbeatMs: z.number(),
    limits: z.record(z.string(), z.number()),
  }),
  z.strictObject({ type: z.literal('subscribed'), id, cursor }),
  z.strictObject({ type: z.literal('unsubscribed'), id }),
  z.strictObject({ type: z.literal('live'), id, cursor }),
  gapShape.extend({ type: z.literal('gap'), id }),
  z.strictObject({ type: z.literal('skipped'), id, count: z.int().min(1), cursor }),
  z.strictObject({ type: z.literal('heartbeat'), cursor: cursor.exactOptional() }),
  z.strictObject({ type: z.literal('authenticated') }),
  z.strictObject({ type: z.literal('pong') }),
  z.strictObject({ type: z.literal('published'), id, cursor, duplicate: z.boolean() }),
  errorShape.extend({ type: z.literal('error'), id: id.exactOptional() }),
]);

/** A message to a WebSocket client, except `event` (PROTOCOL.md section 6.3). */
export type ServerMessage = z.infer<typeof serverMessageShape>;

/**
 * Why a part of the log will not come (PROTOCOL.md section 5).
 *
 * - `expired`: retention removed it from the stream, and the archive does not have it
 * - `epoch`: the cursor belongs to another stream
 * - `future`: the cursor lies beyond the end of the log, which lost its end in a crash
 */
export type GapReason = z.infer<typeof gapShape>['reason'];
