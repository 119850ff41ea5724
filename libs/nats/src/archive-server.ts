import type { Msg } from '@nats-io/transport-node';
import type { Steps } from '@tidemark/fairness';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  asTidemarkError,
  type EventsQuery,
  type LastAnswer,
  type LastQuery,
  type LogBounds,
  type NewestQuery,
  type NewestStep,
  parseArchiveQuery,
  parseArchiveTimeQuery,
  parseEventsQuery,
  parseLastQuery,
  parseNewestQuery,
  TidemarkError,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type ArchivePage, encodePage } from './archive-pages.ts';
import { askerOf } from './archive-requests.ts';
import { type NatsLink, pause } from './link.ts';

/**
 * Requests are `tidemark.archive.<operation>.<instance>`, outside the subjects of the events stream. Gateways
 * of an earlier version name no instance.
 */
const ARCHIVE_SUBJECT = 'tidemark.archive';

/** How long a stop waits for the requests that are on their way or wait for their turn. */
const DRAIN_MS = 1000;

/** What a request takes besides its body, so that small ones are limited too. */
const REQUEST_BYTES = 1024;

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
  /**
   * Makes one step of the search for the newest event of each of some topics.
   *
   * @throws TidemarkError as `findNewest`
   */
  findLast(query: LastQuery): LastAnswer;
  /**
   * Reads the events of some sequences. The page is complete up to its `through`.
   *
   * @throws TidemarkError `invalid_cursor` when the archive belongs to another epoch
   */
  readEvents(query: EventsQuery): ArchivePage<ArchivedEvent>;
  /** The last sequence stored before that time (ms since 1970); 0 when there is none. */
  sequenceBefore(timeMs: number): number;
}

/** Memory for the requests that wait, which users share. */
export interface RequestRoom {
  /** The part of a user. `take` throws TidemarkError `limit_exceeded` where no room is left for it. */
  open(user: string): { take(bytes: number): void; release(): void };
}

/** As whom an archive is served, and where its requests wait. */
export interface ServeArchiveOptions {
  /** Names this process in the subjects of requests. */
  readonly instance: string;
  readonly logger: Logger;
  /** Where requests wait until their user is next. Whatever else reads the archive waits there too. */
  readonly steps: Steps;
  readonly room: RequestRoom;
}

/**
 * Answers archive requests until it is stopped: each in a step of its own, in fair turns of the users that they
 * are made for. What has waited for as long as its asker wanted it to is answered with `limit_exceeded`, and not
 * worked for.
 */
export function serveArchive(
  link: NatsLink,
  source: ArchiveSource,
  serving: ServeArchiveOptions,
): { stop(): Promise<void> } {
  const { instance, logger } = serving;
  const underWay = new Set<Promise<void>>();
  const options = {
    onMessage: (request: Msg) => {
      const answered = respond(source, request, serving).finally(() => underWay.delete(answered));
      underWay.add(answered);
    },
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
      const answered = drained.then(() => Promise.all(underWay));
      // Draining waits for the server, which may hang.
      await Promise.race([answered, pause(DRAIN_MS)]);
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
  if (operation === 'last') return JSON.stringify(source.findLast(parseLastQuery(request.body)));
  if (operation === 'events') {
    const page = source.readEvents(parseEventsQuery(request.body));
    return encodePage({ bounds: source.bounds(), ...page });
  }
  if (operation === 'sequence-at') {
    const { timeMs } = parseArchiveTimeQuery(request.body);
    return JSON.stringify({ sequence: source.sequenceBefore(timeMs) });
  }
  return JSON.stringify({ error: { code: 'not_found', message: `No operation ${operation}.` } });
}

async function respond(
  source: ArchiveSource,
  request: Msg,
  { steps, room, logger }: ServeArchiveOptions,
): Promise<void> {
  const { flow, waitMs } = askerOf(request);
  const place = room.open(flow.user);
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(waitedTooLong()), waitMs);
  let answer: Uint8Array | string;
  try {
    place.take(REQUEST_BYTES + request.data.length);
    const work = () => answerArchive(source, { subject: request.subject, body: request.string() });
    answer = await steps.run(work, { flow, signal: waiting.signal });
  } catch (error) {
    const { code, message } = asTidemarkError(error);
    if (code === 'internal') logger.error({ err: error }, 'an archive request failed');
    answer = JSON.stringify({ error: { code, message } });
  } finally {
    clearTimeout(timer);
    place.release();
  }
  try {
    request.respond(answer);
  } catch (error) {
    // The connection was closed meanwhile, so nobody waits.
    logger.warn({ err: error }, 'an archive request could not be answered');
  }
}

function waitedTooLong(): TidemarkError {
  return new TidemarkError('limit_exceeded', 'The archive has too much to do for this user.');
}
