import { closest } from '@tidemark/config';
import {
  type Position,
  parseCursor,
  parsePatternList,
  parseStart,
  parseTime,
  parseTopic,
  type Start,
  TidemarkError,
} from '@tidemark/protocol';
import type { Criteria } from '../archive/facets.ts';
import type { Order } from '../archive/windows.ts';

export const PAGE_EVENTS_DEFAULT = 100;

/** How many types one query may name. */
export const TYPES_MAX = 100;

/** A query string as express gives it: a name given twice has a list. */
export type RawQuery = Readonly<Record<string, unknown>>;

export interface HistoryQuery {
  readonly criteria: Criteria;
  readonly order: Order;
  readonly after: Start | undefined;
  readonly before: Position | undefined;
  /** Stored at this time or later, */
  readonly fromMs: number | undefined;
  /** and before this one. */
  readonly toMs: number | undefined;
  readonly limit: number | undefined;
}

export interface TopicsQuery {
  /** `undefined`: all that the token may see. */
  readonly patterns: readonly string[] | undefined;
  readonly after: string;
  readonly limit: number | undefined;
}

const HISTORY_NAMES = [
  'topics',
  'after',
  'before',
  'from',
  'to',
  'type',
  'source',
  'limit',
  'order',
] as const;
const TOPICS_NAMES = ['topics', 'after', 'limit'] as const;

/** Where a token may stand; it is not looked at here. */
const TOKEN_NAME = 'access_token';

export function parseHistoryQuery(raw: RawQuery, limitMax: number): HistoryQuery {
  const query = readParameters(raw, HISTORY_NAMES);
  const { topics, after, before, from, to, type, source, limit, order } = query;
  const types = type?.split(',').map((name) => name.trim());
  if (types && (types.length > TYPES_MAX || types.includes(''))) {
    throw wrong('type', `must be 1 to ${TYPES_MAX} event types separated by commas`);
  }
  return {
    criteria: {
      patterns: parsePatternList(topics ?? '>'),
      ...(types && { types }),
      ...(source !== undefined && { source }),
    },
    order: parseOrder(order),
    after: after === undefined ? undefined : parseStart(after),
    before: before === undefined ? undefined : parseCursor(before),
    fromMs: from === undefined ? undefined : parseTime(from),
    toMs: to === undefined ? undefined : parseTime(to),
    limit: parseLimit(limit, limitMax),
  };
}

export function parseTopicsQuery(raw: RawQuery, limitMax: number): TopicsQuery {
  const { topics, after, limit } = readParameters(raw, TOPICS_NAMES);
  return {
    patterns: topics === undefined ? undefined : parsePatternList(topics),
    after: after === undefined ? '' : parseTopic(after),
    limit: parseLimit(limit, limitMax),
  };
}

/** @throws TidemarkError `invalid_query` when the query has any parameter */
export function refuseParameters(raw: RawQuery): void {
  readParameters(raw, []);
}

/** The query string of a page's successor: the same query with one parameter set anew. */
export function withParameter(raw: RawQuery, name: string, value: string): string {
  const next = new URLSearchParams();
  for (const [known, text] of Object.entries(raw)) {
    if (known !== name && known !== TOKEN_NAME) next.set(known, String(text));
  }
  next.set(name, value);
  return next.toString();
}

function readParameters<N extends string>(
  raw: RawQuery,
  names: readonly N[],
): Partial<Record<N, string>> {
  const found: Partial<Record<string, string>> = {};
  for (const [name, value] of Object.entries(raw)) {
    if (name === TOKEN_NAME) continue;
    if (!names.some((known) => known === name)) throw unknownParameter(name, names);
    if (typeof value !== 'string') throw wrong(name, 'must be given once');
    if (value === '') throw wrong(name, 'must not be empty');
    found[name] = value;
  }
  return found as Partial<Record<N, string>>;
}

function parseOrder(text: string | undefined): Order {
  if (text === undefined || text === 'asc') return 'asc';
  if (text === 'desc') return 'desc';
  throw wrong('order', 'must be asc or desc');
}

function parseLimit(text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= 1 && value <= max) return value;
  throw wrong('limit', `must be a whole number from 1 to ${max}`);
}

function unknownParameter(name: string, names: readonly string[]): TidemarkError {
  const suggestion = closest(name, names);
  const hint = suggestion ? `; did you mean ${suggestion}?` : '';
  const shown = JSON.stringify(name.slice(0, 80));
  return new TidemarkError('invalid_query', `There is no query parameter ${shown}${hint}`, {
    faults: [{ path: name.slice(0, 80), message: `is not known${hint}` }],
  });
}

function wrong(name: string, message: string): TidemarkError {
  return new TidemarkError('invalid_query', `${name} ${message}.`, {
    faults: [{ path: name, message }],
  });
}
