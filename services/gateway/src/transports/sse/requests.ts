import { closest } from '@tidemark/config';
import { type Request, readJson } from '@tidemark/http';
import {
  CURSOR_JSON,
  DELIVER,
  type Deliver,
  formatCursor,
  PATTERNS_JSON,
  parseCursor,
  parsePatternList,
  parseStart,
  parseSubscriptionRequest,
  refuseCostlyMessage,
  START_JSON,
  type Start,
  type SubscriptionRequest,
  splitTypes,
  TidemarkError,
  TYPES_JSON,
  typesFault,
  withAtLeast,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';

/** Room for the most and longest patterns and types, with their quotes. */
const BODY_BYTES_MAX = 64 * 1024;

/** The query of a GET. A POST has the same in its body. */
export const queryShape = z.object({
  topics: withJson(z.string(), PATTERNS_JSON),
  types: withJson(z.string().optional(), TYPES_JSON),
  after: withJson(z.string().optional(), START_JSON),
  atLeast: withJson(z.string().optional(), CURSOR_JSON),
  deliver: z.enum(DELIVER).optional(),
  trace: z.enum(['true', 'false']).optional(),
});

const FIELDS = Object.keys(queryShape.shape);

/** Where clients put the cursor that they cannot send as a header. The first that is there counts. */
const LAST_EVENT_IDS = ['lastEventId', 'lastEventID', 'Last-Event-ID', 'last-event-id'];

/** Most parameters that clients add of their own. Each is compared with those that are known. */
const OTHERS_MAX = 100;

const KNOWN = [...FIELDS, ...LAST_EVENT_IDS, 'access_token', 'ticket'];

/**
 * Reads the query of a GET.
 *
 * @throws TidemarkError `invalid_query`, and those of patterns and starts
 */
export function readQueryRequest(request: Request): SubscriptionRequest {
  const parameters = readParameters(request);
  return {
    trace: parameters.get('trace') === 'true',
    patterns: parsePatternList(parameters.getAll('topics').join(',')),
    ...parseTypes(parameters.getAll('types')),
    start: parseQueryStart(lastEventIdOf(request, parameters), parameters),
    deliver: parseDeliver(parameters.get('deliver')),
  };
}

/**
 * Reads the body of a POST.
 *
 * @throws TidemarkError `invalid_query`, `invalid_json`, `invalid_message`, `too_large`, and those of patterns
 *   and starts
 */
export async function readBodyRequest(request: Request): Promise<SubscriptionRequest> {
  const parameters = readParameters(request);
  const misplaced = FIELDS.find((name) => parameters.has(name));
  if (misplaced !== undefined) {
    throw new TidemarkError('invalid_query', `A POST has ${misplaced} in its body.`);
  }
  const body = await readJson(request, BODY_BYTES_MAX, refuseCostlyMessage);
  return parseSubscriptionRequest(body, lastEventIdOf(request, parameters));
}

/** The cursor that a client comes back with; `undefined` where it has none, or none that is well-formed. */
export function returnCursor(request: Request): string | undefined {
  const text = lastEventIdOf(request, new URL(request.url, 'http://gateway').searchParams);
  try {
    return text === undefined ? undefined : formatCursor(parseCursor(text));
  } catch {
    return undefined;
  }
}

/** Clients add parameters of their own, such as against caches. A mistyped one is refused all the same. */
function readParameters(request: Request): URLSearchParams {
  const parameters = new URL(request.url, 'http://gateway').searchParams;
  let others = 0;
  for (const name of parameters.keys()) {
    if (KNOWN.includes(name)) continue;
    if (++others > OTHERS_MAX) {
      const reason = `A request may have at most ${OTHERS_MAX} parameters that are not known.`;
      throw new TidemarkError('invalid_query', reason);
    }
    const meant = closest(name, KNOWN);
    if (meant === undefined) continue;
    throw new TidemarkError(
      'invalid_query',
      `There is no parameter ${name}. Did you mean ${meant}?`,
    );
  }
  return parameters;
}

function lastEventIdOf(request: Request, parameters: URLSearchParams): string | undefined {
  const header = request.get('Last-Event-ID');
  if (header) return header;
  const name = LAST_EVENT_IDS.find((one) => parameters.get(one));
  return name === undefined ? undefined : (parameters.get(name) ?? undefined);
}

/** Whoever comes back with its cursor repeats the whole URL, and has what it asked for with `atLeast`. */
function parseQueryStart(lastEventId: string | undefined, parameters: URLSearchParams): Start {
  if (lastEventId !== undefined) return parseStart(lastEventId);
  const start = parseStart(parameters.get('after') ?? undefined);
  const atLeast = parameters.get('atLeast') ?? undefined;
  if (atLeast === undefined || start.kind === 'last') return withAtLeast(start, atLeast);
  throw new TidemarkError('invalid_query', 'atLeast goes with after=last alone.');
}

function parseTypes(lists: readonly string[]): Pick<SubscriptionRequest, 'types'> {
  if (lists.length === 0) return {};
  const types = splitTypes(lists.join(','));
  const fault = typesFault(types);
  if (fault === undefined) return { types };
  const faults = [{ path: 'types', message: fault }];
  throw new TidemarkError('invalid_query', `types ${fault}.`, { faults });
}

function parseDeliver(text: string | null): Deliver {
  const deliver = DELIVER.find((known) => known === (text ?? 'all'));
  if (deliver) return deliver;
  throw new TidemarkError('invalid_query', `deliver must be one of ${DELIVER.join(', ')}.`);
}
