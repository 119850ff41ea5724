import type { Msg } from '@nats-io/transport-node';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  asTidemarkError,
  type LogBounds,
  parseArchiveQuery,
  parseArchiveTimeQuery,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type ArchivePage, encodePage } from './archive-pages.ts';
import type { NatsLink } from './link.ts';

/** Requests are `tidemark.archive.<operation>`, outside the subjects of the events stream. */
export const ARCHIVE_SUBJECT = 'tidemark.archive';

/** Several replay services share the requests. */
const QUEUE = 'replay';

/** The archive that answers requests. Each call is short and synchronous. */
export interface ArchiveSource {
  /**
   * The bounds of the archive now.
   *
   * @throws TidemarkError `unavailable` before it belongs to an epoch
   */
  bounds(): LogBounds;
  /**
   * Reads one page of a range.
   *
   * @throws TidemarkError `invalid_cursor` when the archive belongs to another epoch
   */
  readPage(query: ArchiveQuery): ArchivePage<ArchivedEvent>;
  /** The last sequence stored before that time (ms since 1970); 0 when there is none. */
  sequenceBefore(timeMs: number): number;
}

/** Answers archive requests until it is stopped. Several replay services share the requests. */
export function serveArchive(
  link: NatsLink,
  source: ArchiveSource,
  logger: Logger,
): { stop(): Promise<void> } {
  const subscription = link.subscribe(`${ARCHIVE_SUBJECT}.*`, {
    queue: QUEUE,
    onMessage: (request) => respond(source, request, logger),
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'archive requests are no longer received');
    },
  });
  return { stop: () => subscription.drain() };
}

/**
 * Answers one request.
 *
 * @param request its subject names the operation, its body holds the query as JSON
 *
 * @throws TidemarkError where the request is wrong or the archive cannot answer it
 */
export function answerArchive(
  source: ArchiveSource,
  request: { readonly subject: string; readonly body: string },
): Uint8Array | string {
  const operation = request.subject.slice(ARCHIVE_SUBJECT.length + 1);
  if (operation === 'state') return JSON.stringify(source.bounds());
  if (operation === 'read') {
    const page = source.readPage(parseArchiveQuery(request.body));
    return encodePage({ bounds: source.bounds(), ...page });
  }
  if (operation === 'sequence-at') {
    const { timeMs } = parseArchiveTimeQuery(request.body);
    return JSON.stringify({ sequence: source.sequenceBefore(timeMs) });
  }
  return JSON.stringify({ error: { code: 'not_found', message: `No operation ${operation}.` } });
}

function respond(source: ArchiveSource, request: Msg, logger: Logger): void {
  try {
    request.respond(answerArchive(source, { subject: request.subject, body: request.string() }));
  } catch (error) {
    const { code, message } = asTidemarkError(error);
    if (code === 'internal') logger.error({ err: error }, 'an archive request failed');
    request.respond(JSON.stringify({ error: { code, message } }));
  }
}
