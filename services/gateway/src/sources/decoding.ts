import type { LogRecord } from '@tidemark/nats';
import { readStored } from '@tidemark/protocol';
import type { FeedEvent } from '../log/event-log.ts';

export type Decoded =
  | { readonly valid: true; readonly event: FeedEvent }
  | { readonly valid: false; readonly reason: string };

/** Decodes a message of the stream, or says why it is not an event. */
export function decode({ sequence, timeMs, topic, payload, headers }: LogRecord): Decoded {
  if (topic === undefined) return { valid: false, reason: 'the subject holds no topic' };
  const stored = readStored({ topic, payload, headers });
  if (!stored.valid) return stored;
  return { valid: true, event: { sequence, timeMs, topic, json: stored.json } };
}
