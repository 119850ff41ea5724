import {
  CURSOR_JSON,
  type Fault,
  FOLLOW_CHANGES,
  HIDDEN_JSON,
  ITEM_MARKS,
  PATTERN_JSON,
  PATTERNS_JSON,
  type Position,
  parseCursor,
  parsePattern,
  parsePatternList,
  parseTime,
  splitTypes,
  TIME_JSON,
  TidemarkError,
  TYPES_JSON,
  typeList,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import {
  PAGE_EVENTS_DEFAULT,
  parseLimit,
  parseParameters,
  type RawQuery,
  TOKEN_NAME,
} from '../history/query.ts';
import { type ItemsQuery, STATES } from './pages.ts';

/** Most items that one request marks one by one. */
export const CURSORS_MAX = 100;

const ID_LENGTH_MAX = 64;

const STATE_NAMES = Object.keys(STATES) as (keyof typeof STATES)[];
const GROUPS = ['topic', 'subject'] as const;

const text = z.string('must be given once').min(1, { error: 'must not be empty', abort: true });
const common = {
  sub: text.optional(),
  atLeast: withJson(text.optional(), CURSOR_JSON),
  [TOKEN_NAME]: withJson(z.unknown().optional(), HIDDEN_JSON),
};

/** Of `GET /v1/inbox/counts` and `GET /v1/inbox/follows`. */
export const countsParameters = z.strictObject(common);

/** Of `GET /v1/inbox`. */
export const itemsParameters = z.strictObject({
  ...common,
  state: withJson(text.pipe(z.enum(STATE_NAMES)).optional(), { type: 'string', enum: STATE_NAMES }),
  topics: withJson(text.optional(), PATTERNS_JSON),
  types: withJson(text.transform(splitTypes).pipe(typeList).optional(), TYPES_JSON),
  group: withJson(text.pipe(z.enum(GROUPS)).optional(), { type: 'string', enum: GROUPS }),
  limit: text.optional(),
  before: withJson(text.optional(), CURSOR_JSON),
});

const id = z
  .string()
  .min(1)
  .max(ID_LENGTH_MAX)
  .regex(/^[\x21-\x7e]+$/, 'must be printable characters without spaces');

/** The body of `POST /v1/inbox/marks`. */
export const markingShape = z
  .strictObject({
    id: id.optional(),
    mark: z.enum(ITEM_MARKS),
    upTo: withJson(z.string(), CURSOR_JSON).optional(),
    cursors: z.array(withJson(z.string(), CURSOR_JSON)).min(1).max(CURSORS_MAX).optional(),
    until: withJson(z.string(), TIME_JSON).optional(),
  })
  .superRefine(({ mark, upTo, cursors, until }, context) => {
    const refuse = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    if ((upTo === undefined) === (cursors === undefined)) {
      refuse('upTo', 'must be there, or cursors, and not both');
    }
    const isSingle = mark === 'unread' || mark === 'unarchived' || mark === 'snoozed';
    if (isSingle && upTo !== undefined) refuse('upTo', `does not go with ${mark}: name cursors`);
    if ((mark === 'snoozed') !== (until !== undefined)) {
      refuse('until', 'must be there for snoozed, and for nothing else');
    }
  });

/** The body of `POST /v1/inbox/follows`. */
export const followingShape = z.strictObject({
  id: id.optional(),
  change: z.enum(FOLLOW_CHANGES),
  pattern: withJson(z.string(), PATTERN_JSON),
  types: withJson(typeList, TYPES_JSON).optional(),
});

/** What every request about an inbox may say. */
export interface InboxQuery {
  /** The user whose inbox an operator asks for. */
  readonly subject: string | undefined;
  /** The archive must have reached it. */
  readonly atLeast: Position | undefined;
}

/** `before` is a cursor that has not been looked for yet. */
export type ParsedItems = InboxQuery &
  Omit<ItemsQuery, 'before'> & { readonly before: Position | undefined };

/** @throws TidemarkError `invalid_query` or `invalid_cursor` */
export function parseInboxQuery(raw: RawQuery): InboxQuery {
  return toInboxQuery(parseParameters(countsParameters, raw));
}

/** @throws TidemarkError `invalid_query`, `invalid_pattern` or `invalid_cursor` */
export function parseItemsQuery(raw: RawQuery, limitMax: number): ParsedItems {
  const { topics, before, limit, ...query } = parseParameters(itemsParameters, raw);
  const { state, types, group } = query;
  return {
    ...toInboxQuery(query),
    state,
    types,
    group,
    patterns: topics === undefined ? undefined : parsePatternList(topics),
    limit: parseLimit(limit, limitMax) ?? Math.min(PAGE_EVENTS_DEFAULT, limitMax),
    before: before === undefined ? undefined : parseCursor(before),
  };
}

/** A mark of items, with cursors that have not been looked for yet. */
export interface Marking {
  readonly id: string | undefined;
  readonly mark: (typeof ITEM_MARKS)[number];
  readonly upTo: Position | undefined;
  readonly cursors: readonly Position[];
  /** Milliseconds since 1970, for `snoozed`. */
  readonly untilMs: number;
  /** As the request said it. */
  readonly described: Readonly<Record<string, unknown>>;
}

/** @throws TidemarkError `invalid_query`, `invalid_cursor` or `invalid_time` */
export function parseMarking(body: unknown): Marking {
  const { id: given, ...described } = parseBody(markingShape, body);
  const { mark, upTo, cursors = [], until } = described;
  return {
    id: given,
    mark,
    upTo: upTo === undefined ? undefined : parseCursor(upTo),
    cursors: cursors.map(parseCursor),
    untilMs: until === undefined ? 0 : parseTime(until),
    described,
  };
}

/** A change of what a user follows. */
export interface Following {
  readonly id: string | undefined;
  readonly change: (typeof FOLLOW_CHANGES)[number];
  readonly pattern: string;
  readonly types: readonly string[] | undefined;
  /** As the request said it. */
  readonly described: Readonly<Record<string, unknown>>;
}

/** @throws TidemarkError `invalid_query` or `invalid_pattern` */
export function parseFollowing(body: unknown): Following {
  const { id: given, ...described } = parseBody(followingShape, body);
  const { change, pattern, types } = described;
  return { id: given, change, pattern: parsePattern(pattern), types, described };
}

function toInboxQuery({
  sub,
  atLeast,
}: {
  sub?: string | undefined;
  atLeast?: string | undefined;
}) {
  return { subject: sub, atLeast: atLeast === undefined ? undefined : parseCursor(atLeast) };
}

function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const { success, data, error } = schema.safeParse(body);
  if (success) return data;
  const faults: Fault[] = error.issues.map(({ path, message }) => ({
    path: path.join('.') || '$',
    message: message.replace(/^Invalid (?:input|option): /, ''),
  }));
  const [first] = faults;
  throw new TidemarkError('invalid_query', `${first?.path} ${first?.message}.`, { faults });
}
