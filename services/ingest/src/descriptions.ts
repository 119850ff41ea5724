import type { Description } from '@tidemark/http';
import {
  BATCH_TYPE,
  bareEventShape,
  CURSOR_JSON,
  cursorShape,
  EVENT_BYTES_MAX,
  eventShape,
  POSITION_HEADER,
  STRUCTURED_TYPE,
  TOPIC_JSON,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import { CURSORS_MAX, TAGS } from './precondition.ts';

/* What the endpoints of ingest take and answer, for the OpenAPI document (PROTOCOL.md section 10). */

/** The limits that the descriptions name. */
export interface DescribedLimits {
  readonly bodyBytesMax: number;
  readonly batchEventsMax: number;
}

const publishedShape = z
  .strictObject({
    id: z.string(),
    source: z.string(),
    topic: withJson(z.string(), TOPIC_JSON),
    cursor: cursorShape,
    duplicate: z.boolean(),
  })
  .meta({ id: 'Published', description: 'What the stream has stored.' });

/** What a publisher is told of a stored event. */
export type PublishedEvent = Readonly<z.infer<typeof publishedShape>>;

const position = { [POSITION_HEADER]: withJson(z.string(), CURSOR_JSON) };
const tag = z.string().optional().meta({ description: 'The cursor in quotes, of a single event.' });

const publishHeaders = z.object({
  'If-Match': withJson(z.string().optional(), {
    type: 'string',
    pattern: TAGS.source,
    description: `The topic's last cursor in quotes, or a list of up to ${CURSORS_MAX}.`,
  }),
  'If-None-Match': withJson(z.string().optional(), {
    type: 'string',
    const: '*',
    description: 'Stores the event only if its topic has none.',
  }),
  Prefer: z.string().optional().meta({
    description:
      'return=minimal for an answer without a body; ordered to store the events of each topic one after the other.',
  }),
});

/** Of `POST /v1/events`. */
export function describePublish({ bodyBytesMax, batchEventsMax }: DescribedLimits): Description {
  return {
    summary: 'Stores events',
    details: `Section 10. With \`ce-\` headers a body of any type is the data of an event. A body has at most
${bodyBytesMax} bytes, and an event ${EVENT_BYTES_MAX} bytes as JSON. 409 and 412 have \`${POSITION_HEADER}\` too.`,
    headers: publishHeaders,
    body: {
      'application/json': bareEventShape,
      [STRUCTURED_TYPE]: eventShape,
      [BATCH_TYPE]: z.array(eventShape).max(batchEventsMax),
    },
    answers: {
      201: {
        means: 'The stream has stored the event; for a batch a list in its order.',
        content: { 'application/json': z.union([publishedShape, z.array(publishedShape)]) },
        headers: z.object({
          [POSITION_HEADER]: position[POSITION_HEADER].optional(),
          ETag: tag,
          'Preference-Applied': z.string().optional(),
        }),
      },
      204: {
        means: 'The same, where the request prefers no body.',
        headers: z.object({
          [POSITION_HEADER]: position[POSITION_HEADER].optional(),
          ETag: tag,
          'Preference-Applied': z.string(),
        }),
      },
    },
    errors: [
      'invalid_json',
      'invalid_event',
      'invalid_topic',
      'invalid_cursor',
      'conflict',
      'erased',
      'precondition_failed',
      'too_large',
      'unsupported_media_type',
    ],
  };
}

/** Of `OPTIONS /v1/events`. */
export const handshakeDescription: Description = {
  summary: 'The handshake of the CloudEvents webhook specification',
  details: 'Section 10.1.',
  headers: z.object({ 'WebHook-Request-Origin': z.string() }),
  answers: {
    200: {
      means: 'The sender may send events here, each with a token.',
      headers: z.object({
        'WebHook-Allowed-Origin': z.string(),
        'WebHook-Allowed-Rate': z.string(),
      }),
    },
  },
  errors: ['method_not_allowed'],
};

/** Of `POST /v1/hooks/:name`. */
export function describeHook({ bodyBytesMax }: DescribedLimits): Description {
  return {
    summary: 'Takes a webhook that is no CloudEvent',
    details: `Section 10.2. The signature of the sender takes the place of a token. At most ${bodyBytesMax} bytes.`,
    path: z.object({
      name: withJson(z.string(), { type: 'string', pattern: '^[a-z0-9_-]{1,64}$' }),
    }),
    body: { 'application/json': z.unknown() },
    answers: { 200: { means: 'All events are stored.' } },
    errors: [
      'unauthenticated',
      'not_found',
      'invalid_json',
      'invalid_event',
      'invalid_topic',
      'too_large',
      'unsupported_media_type',
      'limit_exceeded',
      'unavailable',
    ],
  };
}
