import { type Principal, permits, requirePermission } from '@tidemark/auth';
import {
  type Confirm,
  type Endpoint,
  type Limits,
  type Request,
  type Response,
  spanOf,
} from '@tidemark/http';
import {
  formatCursor,
  type LogBounds,
  parseCursor,
  TidemarkError,
  toPresent,
} from '@tidemark/protocol';
import type { Metrics, Tracer } from '@tidemark/telemetry';
import { Exports } from './export.ts';
import { readPage } from './pages.ts';
import { parseHistoryQuery, parseTopicsQuery, refuseParameters, withParameter } from './query.ts';
import { type HistorySource, requireLost, resolveRange, waitForArchive } from './range.ts';
import { PlaceSealer } from './sealed-place.ts';
import { readTopics } from './topics.ts';
import { itemText } from './walk.ts';

const NDJSON = 'application/x-ndjson';
const POSITION_HEADER = 'Tidemark-Position';

export interface HistoryOptions extends HistorySource {
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Largest `limit` of a query. */
  readonly pageEventsMax: number;
  readonly limits: Limits;
  readonly confirm: Confirm;
  /** Most requests of one user at once. */
  readonly readsPerUserMax: number;
  /** Most exports of all users at once. */
  readonly exportsMax: number;
}

/** The endpoints that answer from the archive over HTTP (PROTOCOL.md section 11). */
export function historyEndpoints(options: HistoryOptions): Endpoint[] {
  const exports = new Exports(options);
  const sealer = new PlaceSealer();
  const reads = options.limits.semaphore('reads_per_user', {
    max: options.readsPerUserMax,
    of: 'history requests of this user',
  });
  const durations = options.metrics.histogram(
    'history_query_seconds',
    'Duration of history queries, from the request to the whole answer.',
    { buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10], labels: ['query'] },
  );
  const timed = async (
    query: string,
    { response, principal }: Exchange,
    answer: () => Promise<void>,
  ) => {
    const release = reads.acquire(principal.subject);
    // An answer that its client does not read still occupies memory.
    if (response.closed) release();
    else response.once('close', release);
    const end = durations.startTimer({ query });
    const parent = spanOf(response);
    try {
      await options.tracer.within(`history ${query}`, { parent }, answer);
    } finally {
      end();
    }
  };
  return [
    {
      path: '/v1/events',
      methods: {
        GET: (request, response, principal) => {
          const asExport = request.accepts(['application/json', NDJSON]) === NDJSON;
          const exchange = { request, response, principal };
          return timed(asExport ? 'export' : 'page', exchange, () =>
            answerEvents(exchange, options, { ...(asExport && { exports }) }),
          );
        },
      },
    },
    {
      path: '/v1/events/:cursor',
      methods: {
        GET: (request, response, principal) => {
          const exchange = { request, response, principal };
          return timed('event', exchange, () => answerEvent(exchange, options));
        },
      },
    },
    {
      path: '/v1/topics',
      methods: {
        GET: (request, response, principal) => {
          const exchange = { request, response, principal };
          return timed('topics', exchange, () => answerTopics(exchange, options, sealer));
        },
      },
    },
  ];
}

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

async function answerEvents(
  { request, response, principal }: Exchange,
  options: HistoryOptions,
  { exports }: { readonly exports?: Exports },
): Promise<void> {
  const query = parseHistoryQuery(request.query, options.pageEventsMax);
  for (const pattern of query.criteria.patterns) requirePermission(principal, 'history', pattern);
  const range = await resolveRange(query, options);
  tellPosition(response, range.bounds);
  response.vary('Accept');
  if (exports) {
    const confirm = () => options.confirm(principal);
    return exports.write(response, { range, query, confirm });
  }
  const { text, next, complete } = await readPage(range, query, options.pageEventsMax);
  if (!complete) {
    const name = query.order === 'asc' ? 'after' : 'before';
    const link = withParameter(request.query, name, next);
    response.set('Link', `<${request.path}?${link}>; rel="next"`);
  }
  response.type('json').end(text);
}

/** Answers an event of a topic that the token may not see like an event that does not exist. */
async function answerEvent(
  { request, response, principal }: Exchange,
  options: HistoryOptions,
): Promise<void> {
  refuseParameters(request.query);
  const wanted = parseCursor(String(request.params.cursor));
  await waitForArchive(options, wanted);
  const { archive, bounds } = options.store.snapshot();
  tellPosition(response, bounds);
  const present = toPresent(bounds, wanted);
  const event = present && !present.lost ? archive.findEvent(present.sequence) : undefined;
  if (!event && present && !present.lost) {
    const { sequence } = present;
    const [hole] = archive.missingRanges({ after: sequence - 1, through: sequence });
    if (hole) requireLost(options, bounds.epoch, hole);
  }
  if (!event || !permits(principal, 'history', event.topic)) {
    throw new TidemarkError('not_found', `There is no event at ${formatCursor(wanted)}.`);
  }
  response.type('json').end(itemText(bounds.epoch, event));
}

async function answerTopics(
  { request, response, principal }: Exchange,
  options: HistoryOptions,
  sealer: PlaceSealer,
): Promise<void> {
  const { store, pageEventsMax } = options;
  const query = parseTopicsQuery(request.query, pageEventsMax);
  const snapshot = store.snapshot();
  const { archive, bounds } = snapshot;
  for (const hole of archive.missingRanges({ after: 0, through: bounds.lastSequence })) {
    requireLost(options, bounds.epoch, hole);
  }
  tellPosition(response, bounds);
  const page = await readTopics(snapshot, query, { principal, limitMax: pageEventsMax, sealer });
  if (page.next !== null) {
    const link = withParameter(request.query, 'after', page.next);
    response.set('Link', `<${request.path}?${link}>; rel="next"`);
  }
  response.json(page);
}

/** Names the end of the archive: two answers that differ only because one instance is behind show it. */
function tellPosition(response: Response, { epoch, lastSequence }: LogBounds): void {
  response.set(POSITION_HEADER, formatCursor({ epoch, sequence: lastSequence }));
}
