import { permits, requirePermission } from '@tidemark/auth';
import {
  type Confirm,
  type Endpoint,
  type ProgressOptions,
  type Response,
  WatchedAnswer,
} from '@tidemark/http';
import {
  formatCursor,
  type LogBounds,
  POSITION_HEADER,
  parseCursor,
  TidemarkError,
  toPresent,
} from '@tidemark/protocol';
import { type AtLeastOptions, waitForAtLeast } from './at-least.ts';
import {
  describeEvents,
  describeTopics,
  eventDescription,
  headDescription,
} from './descriptions.ts';
import { Exports, type ExportsOptions } from './export.ts';
import { findHead } from './head.ts';
import { isWaiting, waitForPage } from './long-poll.ts';
import { readPage } from './pages.ts';
import { parseHistoryQuery, parseTopicsQuery, refuseParameters, withParameter } from './query.ts';
import { type HistorySource, requireLost, resolveRange, waitForArchive } from './range.ts';
import type { Read, Reads } from './reads.ts';
import { PlaceSealer } from './sealed-place.ts';
import { readTopics } from './topics.ts';
import type { Waits } from './waits.ts';
import { storedItemText } from './walk.ts';

const NDJSON = 'application/x-ndjson';

export interface HistoryOptions extends HistorySource, ExportsOptions, AtLeastOptions {
  /** The requests under way, and the queue of their steps. */
  readonly reads: Reads;
  /** Largest `limit` of a query. */
  readonly pageEventsMax: number;
  /** Longest `wait` of a query. */
  readonly waitSecondsMax: number;
  readonly waits: Waits;
  readonly confirm: Confirm;
  /** What replay services encrypt places with, so that each reads those of another. */
  readonly sharedKey: () => Buffer | undefined;
}

/** The endpoints that answer from the archive over HTTP (PROTOCOL.md section 11). */
export function historyEndpoints(options: HistoryOptions): Endpoint[] {
  const exports = new Exports(options);
  const sealer = new PlaceSealer(options.sharedKey);
  const { reads } = options;
  return [
    {
      path: '/v1/events',
      methods: {
        GET: {
          ...describeEvents(options),
          serve: (request, response, principal) => {
            const asExport = request.accepts(['application/json', NDJSON]) === NDJSON;
            const exchange = { request, response, principal };
            return reads.serve(asExport ? 'export' : 'page', exchange, (read) =>
              answerEvents(read, options, { ...(asExport && { exports }) }),
            );
          },
        },
      },
    },
    {
      path: '/v1/events/:cursor',
      methods: {
        GET: {
          ...eventDescription,
          serve: (request, response, principal) => {
            const exchange = { request, response, principal };
            return reads.serve('event', exchange, (read) => answerEvent(read, options));
          },
        },
      },
    },
    {
      path: '/v1/head',
      methods: {
        GET: {
          ...headDescription,
          serve: (request, response, principal) => {
            const exchange = { request, response, principal };
            return reads.serve('head', exchange, async (read) => {
              const head = await findHead(read, options);
              response.set(POSITION_HEADER, head.cursor);
              await writeJson(response, Buffer.from(JSON.stringify(head)), options);
            });
          },
        },
      },
    },
    {
      path: '/v1/topics',
      methods: {
        GET: {
          ...describeTopics(options),
          serve: (request, response, principal) => {
            const exchange = { request, response, principal };
            return reads.serve('topics', exchange, (read) => answerTopics(read, options, sealer));
          },
        },
      },
    },
  ];
}

async function answerEvents(
  read: Read,
  options: HistoryOptions,
  { exports }: { readonly exports?: Exports },
): Promise<void> {
  const { request, response, principal, runStep, takeBytes } = read;
  const query = parseHistoryQuery(request.query, options.pageEventsMax, options.waitSecondsMax);
  for (const pattern of query.criteria.patterns) requirePermission(principal, 'history', pattern);
  await waitForAtLeast(query.atLeast, read, options);
  const range = await resolveRange(query, options);
  tellPosition(response, range.bounds);
  response.vary('Accept');
  if (exports) {
    if (query.waitMs !== undefined)
      throw new TidemarkError('invalid_query', 'Exports do not wait.');
    const confirm = () => options.confirm(principal);
    return exports.write(response, { range, query, confirm, runStep, user: principal.subject });
  }
  const first = await readPage(range, query, {
    limitMax: options.pageEventsMax,
    runStep,
    takeBytes,
  });
  let page = first;
  if (isWaiting(query, first, response)) {
    const found = await waitForPage(read, query, { options, first: { range, page: first } });
    tellPosition(response, found.range.bounds);
    page = found.page;
  }
  const { body, next, complete } = page;
  if (!complete) {
    const name = query.order === 'asc' ? 'after' : 'before';
    const link = withParameter(request.query, name, next);
    response.set('Link', `<${request.path}?${link}>; rel="next"`);
  }
  await writeJson(response, body, options);
}

/** Answers an event of a topic that the token may not see like an event that does not exist. */
async function answerEvent(
  { request, response, principal, runStep }: Read,
  options: HistoryOptions,
): Promise<void> {
  refuseParameters(request.query);
  const wanted = parseCursor(String(request.params.cursor));
  await waitForArchive(options, wanted);
  const { archive, bounds } = options.store.snapshot();
  tellPosition(response, bounds);
  const present = toPresent(bounds, wanted);
  const sequence = present && !present.lost ? present.sequence : undefined;
  const event = sequence && (await runStep(() => archive.findEvent(sequence)));
  if (!event && present && !present.lost) {
    const { sequence } = present;
    const [hole] = archive.missingRanges({ after: sequence - 1, through: sequence });
    if (hole) requireLost(options, bounds.epoch, hole);
  }
  if (!event || !permits(principal, 'history', event.topic)) {
    throw new TidemarkError('not_found', `There is no event at ${formatCursor(wanted)}.`);
  }
  response.type('json').end(storedItemText(bounds.epoch, event));
}

async function answerTopics(
  read: Read,
  options: HistoryOptions,
  sealer: PlaceSealer,
): Promise<void> {
  const { request, response, principal, runStep } = read;
  const { store, pageEventsMax } = options;
  const query = parseTopicsQuery(request.query, pageEventsMax);
  await waitForAtLeast(query.atLeast, read, options);
  const snapshot = store.snapshot();
  const { archive, bounds } = snapshot;
  for (const hole of archive.missingRanges({ after: 0, through: bounds.lastSequence })) {
    requireLost(options, bounds.epoch, hole);
  }
  tellPosition(response, bounds);
  const page = await readTopics(snapshot, query, {
    principal,
    limitMax: pageEventsMax,
    sealer,
    runStep,
  });
  if (page.next !== null) {
    const link = withParameter(request.query, 'after', page.next);
    response.set('Link', `<${request.path}?${link}>; rel="next"`);
  }
  await writeJson(response, Buffer.from(JSON.stringify(page)), options);
}

/** Answers with JSON, and waits until the client has taken it. */
export async function writeJson(
  response: Response,
  bytes: Buffer,
  progress: ProgressOptions,
): Promise<void> {
  response.type('json').set('Content-Length', String(bytes.length));
  const answer = new WatchedAnswer(response, progress);
  if (response.req.method !== 'HEAD') await answer.write(bytes);
  await answer.end();
}

/** Names the end of the archive: two answers that differ only because one instance is behind show it. */
export function tellPosition(response: Response, { epoch, lastSequence }: LogBounds): void {
  response.set(POSITION_HEADER, formatCursor({ epoch, sequence: lastSequence }));
}
