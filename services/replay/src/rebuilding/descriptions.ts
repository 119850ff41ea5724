import type { Description } from '@tidemark/http';
import { z } from 'zod';

/* What the calls of rebuilds take and answer, for the OpenAPI document (PROTOCOL.md section 13.4). */

const timeShape = z.iso.datetime();
const statusShape = z
  .strictObject({
    state: z.enum(['running', 'complete', 'failed', 'cancelled']),
    done: z.int().min(0).meta({ description: 'Sequences of the log that were read.' }),
    total: z.int().min(0).meta({ description: 'Sequences of the log that the archive covers.' }),
    unreadable: z.int().min(0).meta({ description: 'Events whose content could not be read.' }),
    startedAt: timeShape,
    endedAt: timeShape.exactOptional(),
    reason: z.string().exactOptional().meta({ description: 'Why it has no result.' }),
  })
  .meta({ id: 'Rebuild' });

/** What an operator is told of a rebuild. */
export type RebuildStatus = Readonly<z.infer<typeof statusShape>>;

const content = { 'application/json': statusShape };
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
