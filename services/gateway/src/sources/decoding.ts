import type { LogRecord } from '@tidemark/nats';
import {
  decodeStored,
  ERASURES_TOPIC,
  type Erasure,
  type LogEvent,
  readErasure,
} from '@tidemark/protocol';

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

/** The erasure that an event records, if any. Only services write to its topic; what cannot be read is of a later version. */
export function erasureIn({ topic, json }: LogEvent): Erasure | undefined {
  if (topic !== ERASURES_TOPIC) return undefined;
  return readErasure(JSON.parse(Buffer.from(json).toString()));
}
