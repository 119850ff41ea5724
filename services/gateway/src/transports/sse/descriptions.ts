import type { Answer, Channel, Description } from '@tidemark/http';
import {
  CURSOR_JSON,
  cursorShape,
  errorShape,
  eventShape,
  gapShape,
  subscriptionShape,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import { queryShape } from './requests.ts';

/* What SSE takes and sends, for the documents of the gateway (PROTOCOL.md section 7). */

const stream: Answer = {
  means:
    'The stream, also one that ends at once with an `error` after which the client may come back.',
  content: { 'text/event-stream': z.string() },
};
const headers = z.object({
  'Last-Event-ID': withJson(z.string().optional(), {
    ...CURSOR_JSON,
    description: 'The cursor that the client comes back with; it comes before `after`.',
  }),
});
const common = {
  summary: 'A subscription over SSE',
  details: 'Section 7. The AsyncAPI document has what the stream carries.',
  headers,
  answers: { 200: stream },
} as const;

/** Of `GET /v1/sse`. */
export const getDescription: Description = {
  ...common,
  query: queryShape,
  errors: ['invalid_pattern', 'invalid_cursor', 'invalid_time'],
};

/** Of `POST /v1/sse`. */
export const postDescription: Description = {
  ...common,
  body: { 'application/json': subscriptionShape },
  errors: [
    'invalid_json',
    'invalid_message',
    'invalid_pattern',
    'invalid_cursor',
    'invalid_time',
    'too_large',
  ],
};

/** The lines of a block beside its data. */
function lines(event: string | undefined) {
  return z.object({
    ...(event !== undefined && { event: z.literal(event) }),
    ...(event !== 'error' && { id: cursorShape }),
  });
}

/** `/v1/sse`, for the AsyncAPI document. */
export const sseChannel: Channel = {
  name: 'sse',
  protocol: 'sse',
  address: '/v1/sse',
  summary: 'A subscription over SSE',
  description: 'The payload is the `data` of a block, and the headers are its other lines.',
  query: queryShape,
  sends: {
    ssePosition: {
      summary: 'The cursor: first when the subscription begins, later as a heartbeat.',
      headers: lines('position'),
      payload: z.strictObject({ cursor: cursorShape }),
    },
    sseEvent: { summary: 'An event.', headers: lines(undefined), payload: eventShape },
    sseLive: {
      summary: 'The subscription has caught up; once.',
      headers: lines('live'),
      payload: z.strictObject({ cursor: cursorShape }),
    },
    sseSkipped: {
      summary: 'With deliver=latest: how many events up to the cursor were skipped.',
      headers: lines('skipped'),
      payload: z.strictObject({ count: z.int().min(1), cursor: cursorShape }),
    },
    sseGap: {
      summary: 'A part of the log will not come.',
      headers: lines('gap'),
      payload: gapShape,
    },
    sseError: {
      summary: 'The last block before the server ends the stream.',
      headers: lines('error'),
      payload: errorShape,
    },
  },
};
