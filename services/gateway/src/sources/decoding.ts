import type { LogRecord } from '@tidemark/nats';
import { decodeStored, type LogEvent } from '@tidemark/protocol';

/** A record of the stream as an event of the log, or the reason why it is not one. */
export type DecodedRecord =
  | { readonly valid: true; readonly event: LogEvent }
  | { readonly valid: false; readonly reason: string };

/** Decodes a record of the stream. */
export function decodeRecord(record: LogRecord): DecodedRecord {
  const { sequence, timeMs, topic } = record;
  if (topic === undefined) return { valid: false, reason: 'the subject holds no topic' };
  const stored = decodeStored(record);
  if (!stored.valid) return stored;
  return { valid: true, event: { sequence, timeMs, topic, json: stored.json } };
}
