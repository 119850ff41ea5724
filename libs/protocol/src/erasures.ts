import { z } from 'zod';
import { type Position, parseCursor } from './cursors.ts';
import { TidemarkError } from './errors.ts';
import { ATTRIBUTE_LENGTH_MAX, type CloudEvent } from './events.ts';
import { isRecordsTopic } from './reserved-topics.ts';
import { CURSOR_JSON, TOPIC_JSON, withJson } from './schemas.ts';
import { parseTopic } from './topics.ts';

/** The topic of the records of erasures, which only replay writes. */
export const ERASURES_TOPIC = 'tidemark.erasures';

/** The type of such a record. */
export const ERASURE_TYPE = 'tidemark.erasure';

/** Most events that one record names; a further one gets a record of its own. */
export const ERASED_SEQUENCES_MAX = 500;

/** Longest reason, in UTF-16 units. */
const REASON_LENGTH_MAX = 1000;

/** What a record erases: single events, or everything that a topic had before the record. */
export type Erasure =
  | { readonly topic: string; readonly sequences?: undefined }
  | { readonly sequences: readonly number[]; readonly topic?: undefined };

/** What an operator asks to erase. */
export type ErasureTarget =
  | { readonly kind: 'cursor'; readonly position: Position }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'event'; readonly source: string; readonly id: string };

/** The request for an erasure (PROTOCOL.md section 13.3). */
export interface ErasureRequest {
  readonly target: ErasureTarget;
  readonly reason: string;
}

/** A record before it is stored. */
export interface ErasureRecord {
  readonly id: string;
  readonly erasure: Erasure;
  readonly reason: string;
  /** The `sub` of the operator. */
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

const name = z.string().min(1).max(ATTRIBUTE_LENGTH_MAX);
const reason = z.string().min(1).max(REASON_LENGTH_MAX);
/** The body of a request. */
export const erasureShape = z.union([
  z.strictObject({ cursor: withJson(z.string(), CURSOR_JSON), reason }),
  z.strictObject({ topic: withJson(z.string(), TOPIC_JSON), reason }),
  z.strictObject({ source: name, id: name, reason }),
]);

const sequence = z.int().min(1);
const record = z.object({
  type: z.literal(ERASURE_TYPE),
  topic: z.literal(ERASURES_TOPIC),
  data: z.union([
    z.object({ sequences: z.array(sequence).min(1).max(ERASED_SEQUENCES_MAX) }),
    z.object({ topic: z.string().min(1) }),
  ]),
});

/**
 * Reads the body of a request: `{"cursor"}`, `{"topic"}` or `{"source", "id"}`, each with `"reason"`.
 *
 * @throws TidemarkError `invalid_query`, `invalid_cursor` or `invalid_topic`
 */
export function parseErasureRequest(input: unknown): ErasureRequest {
  const { success, data } = erasureShape.safeParse(input);
  if (!success) {
    throw new TidemarkError(
      'invalid_query',
      `The body must be {"cursor"}, {"topic"} or {"source", "id"}, each with a "reason" of 1 to ${REASON_LENGTH_MAX} characters.`,
    );
  }
  const { reason } = data;
  if ('cursor' in data) {
    return { target: { kind: 'cursor', position: parseCursor(data.cursor) }, reason };
  }
  if ('topic' in data) {
    const topic = parseTopic(data.topic);
    if (!isRecordsTopic(topic)) return { target: { kind: 'topic', topic }, reason };
    throw new TidemarkError('invalid_topic', 'Records of the servers cannot be erased.');
  }
  return { target: { kind: 'event', source: data.source, id: data.id }, reason };
}

/** The event that records an erasure. It has nothing of what is erased. */
export function toErasureEvent({ id, erasure, reason, by, nowMs }: ErasureRecord): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: '/tidemark/replay',
    type: ERASURE_TYPE,
    topic: ERASURES_TOPIC,
    time: new Date(nowMs).toISOString(),
    publisher: by,
    data: { ...erasure, reason },
  };
}

/**
 * Reads what a record erases.
 *
 * @param event the record, parsed
 * @returns `undefined` for an event that is no such record
 */
export function readErasure(event: unknown): Erasure | undefined {
  return record.safeParse(event).data?.data;
}
