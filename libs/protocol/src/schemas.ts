import { z } from 'zod';
import { CURSOR } from './cursors.ts';
import { ERROR_CODES, type ErrorBody, type ErrorCode } from './errors.ts';
import {
  PATTERN_RULE,
  PATTERNS_MAX,
  TOPIC_BYTES_MAX,
  TOPIC_RULE,
  TOPIC_TOKENS_MAX,
} from './topics.ts';
import { TYPES_BYTES_MAX, TYPES_MAX } from './type-filter.ts';

/*
 * What the documents of the services (OpenAPI, AsyncAPI) say of texts that are read by hand, and the shapes of what
 * several services answer.
 */

/** A JSON Schema (draft 2020-12), as the documents of the services have it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * Gives a schema the JSON Schema that the documents show for it: for checks that zod cannot express as one, such as
 * those of a text that is parsed further.
 */
export function withJson<S extends z.ZodType>(schema: S, json: JsonSchema): S {
  return schema.meta({ json });
}

/** The JSON Schema that `withJson` gave a schema; `undefined` where it gave none. */
export function jsonOf(schema: z.core.$ZodType): JsonSchema | undefined {
  return z.globalRegistry.get(schema)?.json as JsonSchema | undefined;
}

/** Of a parameter that the documents show elsewhere. */
export const HIDDEN_JSON: JsonSchema = {};

const TOKEN = '[A-Za-z0-9_-]+';
const WILD = `(?:${TOKEN}|\\*)`;
const MORE = TOPIC_TOKENS_MAX - 1;

/** A topic (PROTOCOL.md section 2). */
export const TOPIC_JSON: JsonSchema = {
  type: 'string',
  pattern: `^${TOKEN}(?:\\.${TOKEN}){0,${MORE}}$`,
  maxLength: TOPIC_BYTES_MAX,
  description: `A topic: ${TOPIC_RULE}.`,
  examples: ['orders.42'],
};

/** A pattern (PROTOCOL.md section 2). */
export const PATTERN_JSON: JsonSchema = {
  type: 'string',
  pattern: `^(?:>|${WILD}(?:\\.${WILD}){0,${MORE - 1}}(?:\\.(?:${WILD}|>))?)$`,
  maxLength: TOPIC_BYTES_MAX,
  description: `A pattern: ${PATTERN_RULE}.`,
  examples: ['orders.*'],
};

/** The patterns of one subscription or query. */
export const PATTERNS_JSON: JsonSchema = {
  type: 'array',
  items: PATTERN_JSON,
  minItems: 1,
  maxItems: PATTERNS_MAX,
};

/** The types of one subscription or query (PROTOCOL.md section 2.2). */
export const TYPES_JSON: JsonSchema = {
  type: 'array',
  items: {
    type: 'string',
    pattern: '^(?:[^*]+\\*?|\\*)$',
    description: 'A CloudEvents type, exact, or with * at its end for any rest.',
    examples: ['order.*'],
  },
  minItems: 1,
  maxItems: TYPES_MAX,
  description: `Only events of these types; ${TYPES_BYTES_MAX} bytes together.`,
};

/** A cursor (PROTOCOL.md section 4). */
export const CURSOR_JSON: JsonSchema = {
  type: 'string',
  pattern: CURSOR.source,
  description: 'A cursor: a position in the log, right after an event. Opaque to clients.',
  examples: ['m4x1k2-17'],
};

/** An RFC 3339 time. */
export const TIME_JSON: JsonSchema = { type: 'string', format: 'date-time' };

/** A start (PROTOCOL.md section 4). */
export const START_JSON: JsonSchema = {
  description:
    'Where to begin: latest, earliest, last (the newest event of each topic first), after a cursor, or at a time.',
  anyOf: [{ type: 'string', enum: ['latest', 'earliest', 'last'] }, CURSOR_JSON, TIME_JSON],
};

/** A cursor in an answer. */
export const cursorShape = z.string().meta({ id: 'Cursor', json: CURSOR_JSON });

/** A gap (PROTOCOL.md section 5). */
export const gapShape = z
  .strictObject({
    from: cursorShape,
    to: cursorShape,
    reason: z.enum(['expired', 'epoch', 'future']),
  })
  .meta({ id: 'Gap', description: 'The events after `from`, up to and with `to`, will not come.' });

/** What `GET /v1/head` answers (PROTOCOL.md section 4.1). */
export const headShape = z
  .strictObject({
    cursor: cursorShape,
    last: withJson(z.string().nullable(), {
      anyOf: [CURSOR_JSON, { type: 'null' }],
      description: 'The newest event of the topics that were asked for; null where there is none.',
    }).exactOptional(),
  })
  .meta({ id: 'Head' });

/** The end of the log or archive and, where topics are asked for, the newest of their events up to there. */
export type Head = z.infer<typeof headShape>;

const codes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

/** The body of an error (PROTOCOL.md section 9.1). */
export const errorShape = z
  .strictObject({
    code: z.enum(codes),
    message: z.string().meta({ description: 'For people; it may change.' }),
    retryable: z.boolean().meta({ description: 'Whether the same request may succeed later.' }),
    faults: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .readonly()
      .exactOptional(),
    cursor: withJson(z.string().nullable(), {
      anyOf: [CURSOR_JSON, { type: 'null' }],
    }).exactOptional(),
    retryAfterSeconds: z.number().exactOptional(),
  })
  .meta({ id: 'Error', description: 'Branch on `code`.' }) satisfies z.ZodType<ErrorBody>;
