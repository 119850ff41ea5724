import type { Answer, Description } from '@tidemark/http';
import {
  CURSOR_JSON,
  cursorShape,
  eventShape,
  INBOX_COUNT_MAX,
  PATTERN_JSON,
  POSITION_HEADER,
  TIME_JSON,
  TOPIC_JSON,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import { describeLimit } from '../history/descriptions.ts';
import { countsParameters, followingShape, itemsParameters, markingShape } from './requests.ts';

/* What the endpoints of inboxes take and answer, for the OpenAPI document (PROTOCOL.md section 14). */

const time = withJson(z.string(), TIME_JSON);
const count = z.int().min(0).max(INBOX_COUNT_MAX);
const pattern = withJson(z.string(), PATTERN_JSON);
const types = z.array(z.string()).optional();

const countsShape = z
  .strictObject({
    unseen: count,
    unread: count,
    more: z.boolean(),
    cursor: cursorShape,
    until: time.optional(),
  })
  .meta({ id: 'InboxCounts' });

const itemShape = z
  .strictObject({
    cursor: cursorShape,
    event: eventShape,
    state: z.strictObject({
      seen: z.boolean(),
      read: z.boolean(),
      archived: z.boolean(),
      snoozed: time.optional(),
    }),
  })
  .meta({ id: 'InboxItem' });

const itemsPageShape = countsShape
  .extend({ items: z.array(itemShape), next: cursorShape.nullable() })
  .meta({ id: 'InboxPage' });

const followsShape = z
  .strictObject({
    inbox: withJson(z.string(), TOPIC_JSON),
    topics: z.array(pattern),
    follows: z.array(
      z.strictObject({ pattern, types, since: cursorShape, permitted: z.boolean() }),
    ),
    mutes: z.array(z.strictObject({ pattern, types })),
    cursor: cursorShape,
  })
  .meta({ id: 'InboxFollows' });

const changeShape = countsShape
  .extend({ changed: cursorShape.nullable() })
  .meta({ id: 'InboxChange' });

function jsonAnswer(means: string, shape: z.ZodType): Answer {
  return { means, content: { 'application/json': shape } };
}

/** What holds at a cursor, which the header names too. */
function read(means: string, shape: z.ZodType): Pick<Description, 'answers'> {
  const headers = z.object({ [POSITION_HEADER]: withJson(z.string(), CURSOR_JSON) });
  return { answers: { 200: { ...jsonAnswer(means, shape), headers } } };
}

const READ_ERRORS = ['invalid_cursor', 'invalid_topic'] as const;

/** Of `GET /v1/inbox`. */
export function describeItems({ pageEventsMax }: { readonly pageEventsMax: number }): Description {
  return {
    summary: 'The items of an inbox, the newest first, with its counts',
    details: 'Section 14.1. An operator with `admin` may name another user in `sub`.',
    query: itemsParameters.extend({ limit: describeLimit(pageEventsMax) }),
    ...read('A page.', itemsPageShape),
    errors: [...READ_ERRORS, 'invalid_pattern'],
  };
}

/** Of `GET /v1/inbox/counts`. */
export const countsDescription: Description = {
  summary: 'The counts of an inbox',
  details: 'Section 14.1.',
  query: countsParameters,
  ...read('The counts.', countsShape),
  errors: READ_ERRORS,
};

/** Of `GET /v1/inbox/follows`. */
export const followsDescription: Description = {
  summary: 'What a user follows and has muted',
  details: 'Section 14.3.',
  query: countsParameters,
  ...read('The follows.', followsShape),
  errors: READ_ERRORS,
};

const change = {
  answers: { 200: jsonAnswer('The counts after the change.', changeShape) },
} as const;

/** Of `POST /v1/inbox/marks`. */
export const marksDescription: Description = {
  summary: 'Marks items of the own inbox',
  details: 'Section 14.2. Either `upTo` or `cursors`; `until` with `snoozed` alone.',
  body: { 'application/json': markingShape },
  ...change,
  errors: [
    'invalid_json',
    'invalid_cursor',
    'invalid_time',
    'invalid_topic',
    'not_found',
    'too_large',
  ],
};

/** Of `POST /v1/inbox/follows`. */
export const followDescription: Description = {
  summary: 'Changes what the user follows',
  details: 'Section 14.3.',
  body: { 'application/json': followingShape },
  ...change,
  errors: ['invalid_json', 'invalid_pattern', 'invalid_topic', 'too_large'],
};
