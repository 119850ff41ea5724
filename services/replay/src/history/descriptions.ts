import type { Answer, Description } from '@tidemark/http';
import {
  CURSOR_JSON,
  cursorShape,
  eventShape,
  gapShape,
  headShape,
  POSITION_HEADER,
  TIME_JSON,
  TOPIC_JSON,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import {
  headParameters,
  historyParameters,
  noParameters,
  PAGE_EVENTS_DEFAULT,
  topicsParameters,
} from './query.ts';

/* What the endpoints of the history take and answer, for the OpenAPI document (PROTOCOL.md section 11). */

/** The limits that the descriptions name. */
export interface DescribedLimits {
  readonly pageEventsMax: number;
  readonly waitSecondsMax: number;
}

const itemShape = z.strictObject({ cursor: cursorShape, event: eventShape }).meta({ id: 'Item' });

const storedItemShape = itemShape
  .extend({ storedAt: withJson(z.string(), TIME_JSON) })
  .meta({ id: 'StoredItem' });

const eventsPageShape = z
  .strictObject({
    items: z.array(itemShape),
    next: cursorShape,
    complete: z.boolean(),
    gaps: z.array(gapShape),
  })
  .meta({ id: 'EventsPage' });

const topicsPageShape = z
  .strictObject({
    items: z.array(
      z.strictObject({
        topic: withJson(z.string(), TOPIC_JSON),
        count: z.int().min(1),
        first: cursorShape,
        last: cursorShape,
      }),
    ),
    next: z.string().nullable(),
    complete: z.boolean(),
  })
  .meta({ id: 'TopicsPage' });

/** What `GET /v1/topics` answers. */
export type TopicsPage = z.infer<typeof topicsPageShape>;

const position = { [POSITION_HEADER]: withJson(z.string(), CURSOR_JSON) };
const pageHeaders = z.object({ ...position, Link: z.string().optional() });

function jsonAnswer(means: string, shape: z.ZodType, headers = z.object(position)): Answer {
  return { means, content: { 'application/json': shape }, headers };
}

/** Of `GET /v1/events`. */
export function describeEvents({ pageEventsMax, waitSecondsMax }: DescribedLimits): Description {
  const page = jsonAnswer('A page, or lines of NDJSON.', eventsPageShape, pageHeaders);
  const lines = z.string().meta({
    description: 'Lines of `{cursor, event}` and `{gap}`; the last one is `{complete, next}`.',
  });
  return {
    summary: 'The events of a range of the log',
    details: `Section 11.1. \`wait\` has at most ${waitSecondsMax} seconds.`,
    query: historyParameters.extend({ limit: describeLimit(pageEventsMax) }),
    answers: { 200: { ...page, content: { ...page.content, 'application/x-ndjson': lines } } },
    errors: ['invalid_pattern', 'invalid_cursor', 'invalid_time'],
  };
}

/** Of `GET /v1/events/:cursor`. */
export const eventDescription: Description = {
  summary: 'One event',
  path: z.object({ cursor: withJson(z.string(), CURSOR_JSON) }),
  query: noParameters,
  answers: { 200: jsonAnswer('The event.', storedItemShape) },
  errors: ['invalid_cursor', 'not_found'],
};

/** Of `GET /v1/head`. */
export const headDescription: Description = {
  summary: 'The end of the archive, and the newest event of some topics',
  details: 'Section 4.1.',
  query: headParameters,
  answers: { 200: jsonAnswer('The head.', headShape) },
  errors: ['invalid_pattern', 'invalid_cursor'],
};

/** Of `GET /v1/topics`. */
export function describeTopics({ pageEventsMax }: DescribedLimits): Description {
  return {
    summary: 'The topics that match and that the token may see',
    details: 'Section 11.2.',
    query: topicsParameters.extend({ limit: describeLimit(pageEventsMax) }),
    answers: { 200: jsonAnswer('A page.', topicsPageShape, pageHeaders) },
    errors: ['invalid_pattern', 'invalid_topic', 'invalid_cursor'],
  };
}

/** The parameter `limit` of a page. */
export function describeLimit(maximum: number) {
  const limit = { minimum: 1, maximum, default: Math.min(PAGE_EVENTS_DEFAULT, maximum) };
  return withJson(z.string().optional(), { type: 'integer', ...limit });
}
