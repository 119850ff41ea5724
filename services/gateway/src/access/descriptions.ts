import type { Description } from '@tidemark/http';
import {
  CONNECTIONS_PAGE_MAX,
  connectionListShape,
  disconnectShape,
  instanceShape,
  meShape,
  revocationShape,
  statsShape,
  streamListShape,
  TIME_JSON,
  traceShape,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';

/* What tickets and admin calls take and answer, for the OpenAPI document (PROTOCOL.md sections 8.3 and 13). */

const ticketShape = z
  .strictObject({ ticket: z.string(), expiresAt: withJson(z.string(), TIME_JSON) })
  .meta({ id: 'Ticket' });

/** Of `POST /v1/tickets`. */
export const ticketDescription: Description = {
  summary: 'A ticket, which stands for the token in one URL',
  details: 'Section 8.3.',
  answers: { 201: { means: 'The ticket.', content: { 'application/json': ticketShape } } },
};

const revocationBody = { 'application/json': revocationShape };

/** Of `POST /v1/admin/revocations`. */
export const revokeDescription: Description = {
  summary: 'Revokes tokens',
  details: 'Section 13.1. The token has the scope word `admin`.',
  body: revocationBody,
  answers: { 204: { means: 'The revocation is stored.' } },
  errors: ['invalid_json', 'invalid_time', 'too_large'],
};

/** Of `DELETE /v1/admin/revocations`. */
export const liftDescription: Description = {
  ...revokeDescription,
  summary: 'Takes a revocation back',
  answers: { 204: { means: 'There is no such revocation any more.' } },
};

/** Of `POST /v1/admin/disconnect`. */
export const disconnectDescription: Description = {
  summary: 'Closes connections on every gateway',
  details: 'Section 13.2. The token has the scope word `admin`.',
  body: { 'application/json': disconnectShape },
  answers: { 202: { means: 'The request has been sent to the gateways.' } },
  errors: ['invalid_json', 'too_large'],
};

/** Of `GET /v1/admin/stats`. */
export const statsDescription: Description = {
  summary: 'The figures of all services',
  details: 'Section 13.6. The token has the scope word `admin`.',
  answers: {
    200: {
      means: 'The figures now, or a stream with those of each second.',
      content: { 'application/json': statsShape, 'text/event-stream': z.string() },
    },
  },
};

/** The query of `GET /v1/admin/connections`. */
export const connectionQueryShape = z.object({
  sub: z.string().min(1).max(256).exactOptional(),
  gateway: instanceShape.exactOptional(),
  transport: z.enum(['websocket', 'sse']).exactOptional(),
  slow: z.enum(['true', 'false']).exactOptional(),
  limit: withJson(z.string().regex(/^\d{1,4}$/), {
    ...{ type: 'integer', minimum: 1, maximum: CONNECTIONS_PAGE_MAX, default: 100 },
  }).exactOptional(),
  after: z
    .string()
    .regex(/^[A-Za-z0-9-]{0,64}$/)
    .meta({ description: '`next` of the page before.' })
    .exactOptional(),
});

/** Of `GET /v1/admin/connections`. */
export const connectionsDescription: Description = {
  summary: 'The connections of all gateways',
  details: 'Section 13.5. The token has the scope word `admin`.',
  query: connectionQueryShape,
  answers: { 200: { means: 'A page.', content: { 'application/json': connectionListShape } } },
  errors: ['not_found'],
};

/** Of `GET /v1/admin/streams`. */
export const streamsDescription: Description = {
  summary: 'What NATS says of the streams',
  details: 'Section 13.7. The token has the scope word `admin`.',
  answers: {
    200: { means: 'The streams.', content: { 'application/json': streamListShape } },
  },
};

/** Of `GET /v1/admin/traces/{traceId}`. */
export const tracesDescription: Description = {
  summary: 'The spans of a trace, from Jaeger',
  details: 'Section 13.8. The token has the scope word `admin`.',
  path: z.object({
    traceId: withJson(z.string(), { type: 'string', pattern: '^[0-9a-f]{32}$' }),
  }),
  answers: { 200: { means: 'The trace.', content: { 'application/json': traceShape } } },
  errors: ['not_found', 'too_large'],
};

/** Of `GET /v1/me`. */
export const meDescription: Description = {
  summary: 'What the token permits',
  details: 'Section 8.5.',
  answers: { 200: { means: 'The token is valid.', content: { 'application/json': meShape } } },
};
