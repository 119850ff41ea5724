import assert from 'node:assert';
import { closest } from '@tidemark/config';
import {
  CURSOR_JSON,
  type Fault,
  formatCursor,
  HIDDEN_JSON,
  PATTERNS_JSON,
  type Position,
  parseCursor,
  parsePatternList,
  parseStart,
  parseTime,
  parseTopic,
  START_JSON,
  type Start,
  splitTypes,
  TIME_JSON,
  TidemarkError,
  TOPIC_JSON,
  TYPES_JSON,
  typeList,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import type { Criteria } from '../selection/filters.ts';
import type { Order } from '../sqlite/log-range.ts';
import { WAIT_WILDCARDS_MAX } from './wait-tree.ts';

export const PAGE_EVENTS_DEFAULT = 100;

/** Longest wait of a request, where nothing else is configured. */
export const WAIT_SECONDS_MAX = 60;

/** Most parameters of those that are not known that an error names, and the most characters of each. */
const UNKNOWN_NAMES_MAX = 20;
const SHOWN_LENGTH_MAX = 80;

/** Separates the topic in the `next` of `/v1/topics` from the sealed place. No topic has it. */
export const SEALED_MARK = '~';

/** Separates the position and the place in the `next` of a page of last events. No cursor has it. */
const PLACE_MARK = '~';

/** A query string as express gives it. A repeated name has a list. */
export type RawQuery = Readonly<Record<string, unknown>>;

/** Where a query begins. `place` is within the last events as of a position: those up to `after` were answered. */
export type HistoryStart =
  | Exclude<Start, { kind: 'last' }>
  | { readonly kind: 'last'; readonly place?: { readonly asOf: Position; readonly after: number } };

export interface HistoryQuery {
  readonly criteria: Criteria;
  /** Only events with this id, of the source that the criteria name; all when absent. */
  readonly id?: string;
  readonly order: Order;
  readonly after: HistoryStart | undefined;
  readonly before: Position | undefined;
  /** Events stored at this time or later, in milliseconds since 1970. */
  readonly fromMs: number | undefined;
  /** Events stored before this time, in milliseconds since 1970. */
  readonly toMs: number | undefined;
  readonly limit: number | undefined;
  /** How long the answer may wait for an event, in milliseconds; absent: it does not wait. */
  readonly waitMs?: number;
  /** The archive must have this position before it is read. */
  readonly atLeast?: Position;
}

export interface TopicsQuery {
  /** `undefined`: all that the token may see. */
  readonly patterns: readonly string[] | undefined;
  /** The topic to begin after, empty for the beginning, and a place behind it that a page has reached. */
  readonly after: { readonly topic: string; readonly sealed?: string };
  readonly limit: number | undefined;
  /** The archive must have this position before it is read. */
  readonly atLeast?: Position;
}

export interface HeadQuery {
  /** `undefined`: the newest event of no topics is asked for. */
  readonly patterns: readonly string[] | undefined;
  /** The archive must have this position before it is read. */
  readonly atLeast?: Position;
}

/** The parameter that may hold the token. Authentication reads it, and queries ignore it. */
export const TOKEN_NAME = 'access_token';

const text = z.string('must be given once').min(1, { error: 'must not be empty', abort: true });
const token = withJson(z.unknown().optional(), HIDDEN_JSON);
const types = text.transform(splitTypes).pipe(typeList);

/** Of `GET /v1/events`. */
export const historyParameters = z.strictObject({
  topics: withJson(text.optional(), { ...PATTERNS_JSON, default: ['>'] }),
  after: withJson(text.optional(), START_JSON),
  before: withJson(text.optional(), CURSOR_JSON),
  from: withJson(text.optional(), TIME_JSON),
  to: withJson(text.optional(), TIME_JSON),
  type: withJson(types.optional(), TYPES_JSON),
  source: text.optional(),
  id: text.optional(),
  limit: text.optional(),
  order: withJson(text.pipe(z.enum(['asc', 'desc'], 'must be asc or desc')).optional(), {
    type: 'string',
    enum: ['asc', 'desc'],
  }),
  atLeast: withJson(text.optional(), CURSOR_JSON),
  wait: text.regex(/^\d{1,4}s$/, 'must be seconds, such as 30s').optional(),
  [TOKEN_NAME]: token,
});

/** Of `GET /v1/topics`. */
export const topicsParameters = z.strictObject({
  topics: withJson(text.optional(), PATTERNS_JSON),
  after: withJson(text.optional(), {
    type: 'string',
    pattern: `${String(TOPIC_JSON.pattern).slice(0, -1)}(?:${SEALED_MARK}.*)?$`,
    description: 'The next of a page, or a topic.',
  }),
  atLeast: withJson(text.optional(), CURSOR_JSON),
  limit: text.optional(),
  [TOKEN_NAME]: token,
});

/** Of `GET /v1/head`. */
export const headParameters = z.strictObject({
  topics: withJson(text.optional(), PATTERNS_JSON),
  atLeast: withJson(text.optional(), CURSOR_JSON),
  [TOKEN_NAME]: token,
});

/** Of what takes none. */
export const noParameters = z.strictObject({ [TOKEN_NAME]: token });

/**
 * Reads the query of `GET /v1/events`.
 *
 * @throws TidemarkError `invalid_query`, `invalid_pattern`, `invalid_cursor` or `invalid_time`
 */
export function parseHistoryQuery(
  raw: RawQuery,
  limitMax: number,
  waitSecondsMax = WAIT_SECONDS_MAX,
): HistoryQuery {
  const query = parseParameters(historyParameters, raw);
  const waitMs = parseWait(query, waitSecondsMax);
  const start = query.after === undefined ? undefined : parseHistoryStart(query.after);
  if (start?.kind === 'last') requireForward(query, 'with after=last');
  const { topics, before, from, to, type, source, id, limit, order } = query;
  if (id !== undefined) requireNamed(source, start);
  return {
    criteria: {
      patterns: parsePatternList(topics ?? '>'),
      ...(type && { types: type }),
      ...(source !== undefined && { source }),
    },
    ...(id !== undefined && { id }),
    order: order ?? 'asc',
    after: start,
    before: before === undefined ? undefined : parseCursor(before),
    fromMs: from === undefined ? undefined : parseTime(from),
    toMs: to === undefined ? undefined : parseTime(to),
    limit: parseLimit(limit, limitMax),
    ...(waitMs !== undefined && { waitMs }),
    ...parseAtLeast(query),
  };
}

/**
 * Reads the query of `GET /v1/topics`.
 *
 * @throws TidemarkError `invalid_query`, `invalid_pattern` or `invalid_topic`
 */
export function parseTopicsQuery(raw: RawQuery, limitMax: number): TopicsQuery {
  const query = parseParameters(topicsParameters, raw);
  const { topics, after, limit } = query;
  return {
    patterns: topics === undefined ? undefined : parsePatternList(topics),
    after: parseAfterTopic(after),
    limit: parseLimit(limit, limitMax),
    ...parseAtLeast(query),
  };
}

/**
 * Reads the query of `GET /v1/head`.
 *
 * @throws TidemarkError `invalid_query`, `invalid_pattern` or `invalid_cursor`
 */
export function parseHeadQuery(raw: RawQuery): HeadQuery {
  const query = parseParameters(headParameters, raw);
  const { topics } = query;
  return {
    patterns: topics === undefined ? undefined : parsePatternList(topics),
    ...parseAtLeast(query),
  };
}

/**
 * Refuses parameters besides the token.
 *
 * @throws TidemarkError `invalid_query`
 */
export function refuseParameters(raw: RawQuery): void {
  parseParameters(noParameters, raw);
}

/** The query string of the next page: the same query with one parameter replaced. */
export function withParameter(raw: RawQuery, name: string, value: string): string {
  const next = new URLSearchParams();
  for (const [known, text] of Object.entries(raw)) {
    if (known !== name && known !== TOKEN_NAME) next.set(known, String(text));
  }
  next.set(name, value);
  return next.toString();
}

/** What is wrong with one parameter, as a fault and as a sentence. */
interface Refusal {
  readonly fault: Fault;
  readonly sentence: string;
}

/**
 * Checks the parameters of a query.
 *
 * @throws TidemarkError `invalid_query`, with a fault for each that is wrong
 */
export function parseParameters<S extends z.ZodObject>(schema: S, raw: RawQuery): z.infer<S> {
  const { success, data, error } = schema.safeParse(raw);
  if (success) return data;
  const names = Object.keys(schema.shape).filter((name) => name !== TOKEN_NAME);
  throw refused(
    error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.slice(0, UNKNOWN_NAMES_MAX).map((name) => unknownParameter(name, names))
        : wrongParameter(issue.path.join('.'), issue.message),
    ),
  );
}

function parseAfterTopic(text = ''): TopicsQuery['after'] {
  const [topic = '', sealed, ...others] = text.split(SEALED_MARK);
  if (others.length > 0) throw new TidemarkError('invalid_topic', 'after is not a next of a page.');
  if (topic !== '') parseTopic(topic);
  return sealed === undefined ? { topic } : { topic, sealed };
}

function parseAtLeast({ atLeast }: { readonly atLeast?: string | undefined }): {
  readonly atLeast?: Position;
} {
  return atLeast === undefined ? {} : { atLeast: parseCursor(atLeast) };
}

/** @throws TidemarkError `invalid_query` */
export function parseLimit(text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= 1 && value <= max) return value;
  throw refused([wrongParameter('limit', `must be a whole number from 1 to ${max}`)]);
}

function parseWait(
  query: z.infer<typeof historyParameters>,
  secondsMax: number,
): number | undefined {
  if (query.wait === undefined) return undefined;
  const seconds = Number.parseInt(query.wait, 10);
  if (seconds > secondsMax) {
    throw refused([wrongParameter('wait', `must be ${secondsMax}s at most`)]);
  }
  requireForward(query, 'with wait');
  for (const pattern of parsePatternList(query.topics ?? '>')) {
    if (pattern.split('*').length - 1 <= WAIT_WILDCARDS_MAX) continue;
    throw new TidemarkError(
      'invalid_pattern',
      `With wait a pattern has at most ${WAIT_WILDCARDS_MAX} times *.`,
    );
  }
  return seconds * 1000;
}

/** What goes on with what comes has no end and no other order. */
function requireForward(query: z.infer<typeof historyParameters>, why: string): void {
  if (query.order === 'desc') throw refused([wrongParameter('order', `must be asc ${why}`)]);
  const other = (['before', 'from', 'to'] as const).find((name) => query[name] !== undefined);
  if (other) throw refused([wrongParameter(other, `must be absent ${why}`)]);
}

/** An id names an event only together with its source, and the last events are those of topics. */
function requireNamed(source: string | undefined, start: HistoryStart | undefined): void {
  if (source === undefined) throw refused([wrongParameter('source', 'must be given with id')]);
  if (start?.kind === 'last')
    throw refused([wrongParameter('id', 'must be absent with after=last')]);
}

/** The `after` of a page that ends within the last events as of a position, once those up to a sequence are answered. */
export function formatPlace(asOf: Position, after: number): string {
  return `${formatCursor(asOf)}${PLACE_MARK}${after}`;
}

function parseHistoryStart(text: string): HistoryStart {
  const [cursor = '', place, ...others] = text.split(PLACE_MARK);
  if (place === undefined) return parseStart(text);
  const asOf = parseCursor(cursor);
  if (/^(?:0|[1-9]\d{0,15})$/.test(place) && others.length === 0) {
    return { kind: 'last', place: { asOf, after: Number(place) } };
  }
  throw new TidemarkError('invalid_cursor', 'after is not a next of a page.');
}

function refused(refusals: readonly Refusal[]): TidemarkError {
  const [first] = refusals;
  assert(first, 'A refused query has a fault.');
  const faults = refusals.map(({ fault }) => fault);
  return new TidemarkError('invalid_query', first.sentence, { faults });
}

function unknownParameter(name: string, names: readonly string[]): Refusal {
  const suggestion = closest(name, names);
  const hint = suggestion ? `; did you mean ${suggestion}?` : '';
  const shown = name.slice(0, SHOWN_LENGTH_MAX);
  return {
    fault: { path: shown, message: `is not known${hint}` },
    sentence: `There is no query parameter ${JSON.stringify(shown)}${hint}`,
  };
}

function wrongParameter(path: string, message: string): Refusal {
  return { fault: { path, message }, sentence: `${path} ${message}.` };
}
