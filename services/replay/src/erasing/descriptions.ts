import type { Description } from '@tidemark/http';
import { CURSOR_JSON, cursorShape, erasureShape, withJson } from '@tidemark/protocol';
import { z } from 'zod';

/* What the calls of erasures take and answer, for the OpenAPI document (PROTOCOL.md section 13.3). */

const statusShape = z
  .strictObject({
    cursor: cursorShape.nullable().meta({ description: 'Of the record; null without any event.' }),
    events: z.int().min(0).meta({ description: 'Removed from the archive of this service.' }),
    complete: z.boolean(),
  })
  .meta({ id: 'Erasure' });

/** What an operator is told of an erasure. */
export type Status = Readonly<z.infer<typeof statusShape>>;

const content = { 'application/json': statusShape };
const details = 'Section 13.3. The token has the scope word `admin`.';

/** Of `POST /v1/admin/erasures`. */
export const eraseDescription: Description = {
  summary: 'Erases events',
  details,
  body: { 'application/json': erasureShape },
  answers: {
    200: { means: 'Nothing is left of them here.', content },
    202: { means: 'The erasure is recorded and goes on.', content },
  },
  errors: [
    'invalid_json',
    'invalid_cursor',
    'invalid_topic',
    'not_found',
    'not_erasable',
    'too_large',
  ],
};

/** Of `GET /v1/admin/erasures/:cursor`. */
export const erasureDescription: Description = {
  summary: 'How far an erasure is',
  details,
  path: z.object({ cursor: withJson(z.string(), CURSOR_JSON) }),
  answers: { 200: { means: 'The erasure.', content } },
  errors: ['invalid_cursor', 'not_found'],
};
