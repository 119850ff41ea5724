import { BATCH_TYPE } from '@tidemark/protocol';
import { type JsonAnswer, NoAnswerError, type RequestOptions, send } from './http.ts';

/** What became of a batch. */
export type Sent =
  /** All of it is in the stream, `duplicates` of it since an earlier request. */
  | { readonly end: 'stored'; readonly duplicates: number }
  /** Nothing of it is stored because of these events, by their places in the batch. */
  | { readonly end: 'refused'; readonly reasons: ReadonlyMap<number, string> }
  /** It was refused, and of several events the answer does not tell which is why. `code` is that of the answer. */
  | { readonly end: 'unclear'; readonly code: string; readonly reason: string }
  /** Nothing is known of it, or nothing can be stored at present. */
  | { readonly end: 'wait'; readonly reason: string; readonly retryAfterMs: number };

/** Answers that are about the events, and not about the request or the service. */
const ABOUT_EVENTS = new Set([
  'invalid_json',
  'invalid_event',
  'invalid_topic',
  'too_large',
  'forbidden',
  'conflict',
  'erased',
  'internal',
]);

const FAULT_PATH = /^\[(\d{1,6})\]\.?(.*)/;

/** Posts events as one batch (PROTOCOL.md section 10), in which the events of a topic keep their order. */
export async function postBatch(
  ingestUrl: string,
  events: readonly string[],
  options: RequestOptions,
): Promise<Sent> {
  try {
    const answer = await send(
      {
        url: new URL('/v1/events', ingestUrl).href,
        method: 'POST',
        headers: { 'content-type': BATCH_TYPE, prefer: 'ordered' },
        body: `[${events.join(',')}]`,
      },
      options,
    );
    return toSent(answer, events.length);
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error;
    return { end: 'wait', reason: error.message, retryAfterMs: 0 };
  }
}

function toSent({ status, headers, body, error, retryAfterMs }: JsonAnswer, count: number): Sent {
  if (status === 201 && Array.isArray(body) && body.length === count) {
    if (headers.get('preference-applied') === 'ordered') {
      return { end: 'stored', duplicates: body.filter(({ duplicate }) => duplicate).length };
    }
    // What is stored is stored; but nobody must rely on the order of such an ingest.
    return { end: 'wait', reason: 'Ingest does not know Prefer: ordered.', retryAfterMs };
  }
  if (!error) return { end: 'wait', reason: `Ingest answered with ${status}.`, retryAfterMs };
  const { code, message, faults = [] } = error;
  const reason = `${code}: ${message}`;
  if (!ABOUT_EVENTS.has(code)) return { end: 'wait', reason, retryAfterMs };
  // With these the other events are stored, and faults do not tell one code from the other.
  const isPartial = code === 'conflict' || code === 'erased' || code === 'internal';
  const reasons = new Map<number, string>();
  for (const fault of isPartial ? [] : faults) {
    // The code is that of the first of them.
    const [, index = String(count), name] = FAULT_PATH.exec(fault.path) ?? [];
    if (Number(index) < count) reasons.set(Number(index), `refused: ${name} ${fault.message}`);
  }
  return reasons.size > 0 ? { end: 'refused', reasons } : { end: 'unclear', code, reason };
}
