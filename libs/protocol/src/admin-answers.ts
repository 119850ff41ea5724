import { z } from 'zod';
import { CURSOR_JSON, withJson } from './schemas.ts';

const count = z.int().min(0);
const time = z.iso.datetime();
const limit = z.number().min(0).nullable().meta({ description: 'Null where there is none.' });

/** What `GET /v1/me` answers (PROTOCOL.md section 8.5). */
export const meShape = z
  .object({
    sub: z.string(),
    permissions: z.array(z.string()).meta({ description: 'Words as those of the scope.' }),
    expiresAt: time,
  })
  .meta({ id: 'Me' });

/** What `GET /v1/me` answers. */
export type Me = z.infer<typeof meShape>;

/** What NATS says of a stream (PROTOCOL.md section 13.7). */
export const adminStreamShape = z
  .object({
    name: z.string(),
    subjects: z.array(z.string()),
    messages: count,
    bytes: count,
    firstCursor: withJson(z.string().nullable(), {
      anyOf: [CURSOR_JSON, { type: 'null' }],
      description: 'Of the oldest event; for the stream of the events.',
    }).exactOptional(),
    firstTime: time.nullable(),
    lastTime: time.nullable(),
    leader: z.string().nullable(),
    replicas: z.array(
      z.object({
        name: z.string(),
        leader: z.boolean(),
        current: z.boolean(),
        offline: z.boolean(),
        lag: count.meta({ description: 'Operations that it has yet to apply.' }),
      }),
    ),
    limits: z.object({ bytes: limit, ageSeconds: limit, messages: limit }),
    storage: z.string(),
  })
  .meta({ id: 'Stream' });

/** What NATS says of a stream. */
export type AdminStream = z.infer<typeof adminStreamShape>;

/** The answer of `GET /v1/admin/streams`. */
export const streamListShape = z
  .object({
    items: z.array(adminStreamShape),
    unanswered: z
      .array(z.string())
      .meta({ description: 'Names of streams that nobody answered for within 2 s.' }),
  })
  .meta({ id: 'StreamList' });

/** The answer of `GET /v1/admin/streams`. */
export type StreamList = z.infer<typeof streamListShape>;

/** The answer of `GET /v1/admin/traces/{traceId}` (PROTOCOL.md section 13.8). */
export const traceShape = z
  .object({
    traceId: z.string(),
    url: z.string().nullable().meta({ description: 'A page that shows it.' }),
    spans: z.array(
      z.object({
        id: z.string(),
        parent: z.string().nullable(),
        service: z.string(),
        name: z.string(),
        startMs: z.number().meta({ description: 'Since 1970, with fractions.' }),
        durationMs: z.number().min(0),
        attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
        error: z.boolean(),
      }),
    ),
    spansLeftOut: count.exactOptional(),
  })
  .meta({ id: 'Trace' });

/** The answer of `GET /v1/admin/traces/{traceId}`. */
export type AdminTrace = z.infer<typeof traceShape>;
