import { ATTRIBUTE_LENGTH_MAX, isTopic } from '@tidemark/protocol';
import { type JsonAnswer, NoAnswerError, type RequestOptions, send } from './http.ts';

/** What names an event of the relay in the stream. */
export interface Wanted {
  readonly topic: string;
  readonly source: string;
  readonly id: string;
  /** RFC 3339: it was not stored before. */
  readonly since: string;
}

/** Where to look. */
export interface LookUpOptions extends RequestOptions {
  readonly gatewayUrl: string;
  readonly replayUrl: string;
}

/** Whether the stream has an event; `unknown` while that cannot be told, with the reason. */
export type Verdict = 'stored' | 'absent' | Unknown;

/** Why it cannot be told, and whether it may be later. */
export interface Unknown {
  readonly unknown: string;
  readonly forGood: boolean;
}

/** By how much the clocks of the database and of NATS may differ. A larger margin only makes replay look at more. */
const CLOCKS_DIFFER_MS = 3_600_000;

/** Most pages that are read for one event, of 1,000 events at least that replay looks at. */
const PAGES_MAX = 1000;
const PAGE_EVENTS = 1000;

interface Page {
  readonly items: readonly { readonly event: Readonly<Record<string, unknown>> }[];
  readonly gaps: readonly unknown[];
  readonly next: string;
  readonly complete: boolean;
}

/**
 * The end of the log, behind everything that was stored before the call.
 *
 * @throws NoAnswerError where no gateway tells it
 */
export async function findHead({ gatewayUrl, ...options }: LookUpOptions): Promise<string> {
  const answer = await send({ url: new URL('/v1/head', gatewayUrl).href }, options);
  const { cursor } = (answer.body ?? {}) as { cursor?: unknown };
  if (answer.status === 200 && typeof cursor === 'string') return cursor;
  throw new NoAnswerError(`The gateway does not tell the end of the log: ${tellError(answer)}`);
}

/** Whether the log up to `head` has an event of this publisher. */
export async function lookUp(
  { topic, source, id, since }: Wanted,
  head: string,
  { replayUrl, ...options }: LookUpOptions,
): Promise<Verdict> {
  if (!isTopic(topic) || !isNameable(source) || !isNameable(id)) return 'absent';
  const url = new URL('/v1/events', replayUrl);
  const sinceMs = Date.parse(since) - CLOCKS_DIFFER_MS;
  if (Number.isNaN(sinceMs)) return never(`attempted_at is no time: ${since}`);
  const query = { topics: topic, source, id, atLeast: head, limit: String(PAGE_EVENTS) };
  url.search = new URLSearchParams({ ...query, from: new Date(sinceMs).toISOString() }).toString();
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const answer = await send({ url: url.href }, options);
    if (answer.status !== 200) {
      return { unknown: `Replay does not tell: ${tellError(answer)}`, forGood: false };
    }
    const { items, gaps, next, complete } = answer.body as Page;
    const isFound = items.some(
      ({ event }) => event.publisher === options.token.subject && event.topic === topic,
    );
    if (isFound) return 'stored';
    if (gaps.length > 0) return never('The history has a gap where the event may have been.');
    if (complete) return 'absent';
    url.searchParams.set('after', next);
  }
  return never(`${PAGES_MAX} pages were not enough to find it.`);
}

/** No event has a name that is empty or longer. */
function isNameable(text: string): boolean {
  return text !== '' && text.length <= ATTRIBUTE_LENGTH_MAX;
}

function never(unknown: string): Unknown {
  return { unknown, forGood: true };
}

function tellError({ status, error }: JsonAnswer): string {
  return error ? `${error.code}: ${error.message}` : `status ${status}`;
}
