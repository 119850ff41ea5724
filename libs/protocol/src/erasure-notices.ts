import { z } from 'zod';
import { parseCursor } from './cursors.ts';
import type { CloudEvent } from './events.ts';
import { isTopic } from './topics.ts';

/** What the topics of the notices of erasures begin with (PROTOCOL.md section 13.3). */
const NOTICES_PREFIX = 'tidemark.erased.';

/** The type of such a notice. */
export const NOTICE_TYPE = 'tidemark.erased';

/** How long a notice is kept: it holds the topic of what was erased. */
const KEPT_MS = 30 * 24 * 3600 * 1000;

/** Tells the readers of a topic that events of it were erased. */
export interface ErasureNotice {
  /** The topic of the erased events. */
  readonly topic: string;
  /** The cursor of the record of the erasure. */
  readonly record: string;
  /** The cursors of the erased events; absent: all events of the topic before the record. */
  readonly cursors?: readonly string[];
}

const cursor = z.string().refine(isCursor);
const notice = z.object({
  type: z.literal(NOTICE_TYPE),
  topic: z.string().startsWith(NOTICES_PREFIX),
  data: z.object({ record: cursor, cursors: z.array(cursor).min(1).optional() }),
});

/**
 * The pattern of the notices for what a pattern matches. It may have no more than 184 bytes and 14 tokens.
 *
 * @example noticesOf('news.>') // 'tidemark.erased.news.>'
 */
export function noticesOf(pattern: string): string {
  return NOTICES_PREFIX + pattern;
}

/** The reverse of `noticesOf`; `undefined` for other patterns. */
export function subjectOfNotices(pattern: string): string | undefined {
  return pattern.startsWith(NOTICES_PREFIX) ? pattern.slice(NOTICES_PREFIX.length) : undefined;
}

/**
 * The event of a notice. It is the same at each service that tells of an erasure, so that the stream stores it once.
 *
 * @param recordedMs when the record was made, in milliseconds since 1970
 * @returns `undefined` where it would be kept no longer, or where the topic is too long for one
 */
export function toNoticeEvent(
  { topic, record, cursors }: ErasureNotice,
  { recordedMs, nowMs }: { readonly recordedMs: number; readonly nowMs: number },
): CloudEvent | undefined {
  const expiresMs = recordedMs + KEPT_MS;
  if (expiresMs <= nowMs || !isTopic(noticesOf(topic))) return undefined;
  return {
    specversion: '1.0',
    id: [record, ...(cursors?.slice(0, 1) ?? [])].join(' '),
    source: '/tidemark/replay',
    type: NOTICE_TYPE,
    topic: noticesOf(topic),
    expires: new Date(expiresMs).toISOString(),
    data: { record, ...(cursors && { cursors }) },
  };
}

/**
 * Reads a notice.
 *
 * @param event the event, parsed
 * @returns `undefined` for an event that is none
 */
export function readErasureNotice(event: unknown): ErasureNotice | undefined {
  const { success, data: found } = notice.safeParse(event);
  if (!success) return undefined;
  const { topic, data } = found;
  const { record, cursors } = data;
  return { topic: topic.slice(NOTICES_PREFIX.length), record, ...(cursors && { cursors }) };
}

function isCursor(text: string): boolean {
  try {
    parseCursor(text);
    return true;
  } catch {
    return false;
  }
}
