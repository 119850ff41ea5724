import type { Msg } from '@nats-io/transport-node';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  asTidemarkError,
  type LogBounds,
  type NewestQuery,
  type NewestStep,
  parseArchiveQuery,
  parseArchiveTimeQuery,
  parseNewestQuery,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type ArchivePage, encodePage } from './archive-pages.ts';
import { type NatsLink, pause } from './link.ts';

/**
 * Requests are `tidemark.archive.<operation>.<instance>`, outside the subjects of the events stream. Gateways
 * of an earlier version name no instance.
 */
const ARCHIVE_SUBJECT = 'tidemark.archive';

/** How long a stop waits for the requests that are on their way. */
const DRAIN_MS = 1000;

/** Several replay services share the requests that name none of them. */
const QUEUE = 'replay';

/** The subject of a request to one archive. */
export function requestSubject(operation: string, instance: string): string {
  return `${ARCHIVE_SUBJECT}.${operation}.${instance}`;
}

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
  /**
   * Makes one step of the search for the newest event of some topics.
   *
   * @throws TidemarkError `invalid_cursor` when the archive belongs to another epoch, `unavailable` while it has
   *   not reached the sequence or lacks a part that another archive has
   */
  findNewest(query: NewestQuery): NewestStep;
  /** The last sequence stored before that time (ms since 1970); 0 when there is none. */
  sequenceBefore(timeMs: number): number;
}

/** Answers archive requests until it is stopped. */
export function serveArchive(
  link: NatsLink,
  source: ArchiveSource,
  { instance, logger }: { readonly instance: string; readonly logger: Logger },
): { stop(): Promise<void> } {
  const options = {
    onMessage: (request: Msg) => respond(source, request, logger),
    onEnded: ({ message: reason }: Error) => {
      logger.error({ reason }, 'archive requests are no longer received');
    },
  };
  const subscriptions = [
    link.subscribe(requestSubject('*', instance), options),
    link.subscribe(`${ARCHIVE_SUBJECT}.*`, { queue: QUEUE, ...options }),
  ];
  return {
    async stop() {
      const drained = Promise.all(subscriptions.map((subscription) => subscription.drain()));
      // Draining waits for the server, which may hang.
      await Promise.race([drained, pause(DRAIN_MS)]);
    },
  };
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
  const operation = request.subject.split('.')[2];
  if (operation === 'state') return JSON.stringify(source.bounds());
  if (operation === 'read') {
    const page = source.readPage(parseArchiveQuery(request.body));
    return encodePage({ bounds: source.bounds(), ...page });
  }
  if (operation === 'newest') {
    return JSON.stringify(source.findNewest(parseNewestQuery(request.body)));
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
