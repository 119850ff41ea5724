import type { Description } from '@tidemark/http';
import { rebuildShape } from '@tidemark/protocol';

/* What the calls of rebuilds take and answer, for the OpenAPI document (PROTOCOL.md section 13.4). */

const content = { 'application/json': rebuildShape };
const details = 'Section 13.4. The token has the scope word `admin`.';

/** Of `POST /v1/admin/rebuild`. */
export const beginDescription: Description = {
  summary: 'Rebuilds the archive',
  details,
  answers: { 202: { means: 'The rebuild has begun.', content } },
  errors: ['conflict'],
};

/** Of `GET /v1/admin/rebuild`. */
export const statusDescription: Description = {
  summary: 'How far the rebuild is',
  details,
  answers: { 200: { means: 'The last rebuild since the start of the service.', content } },
  errors: ['not_found'],
};

/** Of `DELETE /v1/admin/rebuild`. */
export const cancelDescription: Description = {
  summary: 'Cancels the rebuild',
  details,
  answers: { 200: { means: 'It has ended.', content } },
  errors: ['not_found'],
};
