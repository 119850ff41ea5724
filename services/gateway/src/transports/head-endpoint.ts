import { requireGrant, requirePermission } from '@tidemark/auth';
import type { Description, Endpoint } from '@tidemark/http';
import {
  CURSOR_JSON,
  headShape,
  PATTERNS_JSON,
  POSITION_HEADER,
  parsePatternList,
  TidemarkError,
  withJson,
} from '@tidemark/protocol';
import { z } from 'zod';
import type { LogHead } from '../sources/log-head.ts';

const query = z.object({ topics: withJson(z.string().optional(), PATTERNS_JSON) });

const KNOWN = [...Object.keys(query.shape), 'access_token'];

const description: Description = {
  summary: 'The end of the log, and the newest event of some topics',
  details: 'Section 4.1.',
  query,
  answers: {
    200: {
      means: 'The head.',
      content: { 'application/json': headShape },
      headers: z.object({ [POSITION_HEADER]: withJson(z.string(), CURSOR_JSON) }),
    },
  },
  errors: ['invalid_pattern'],
};

/** `GET /v1/head` (PROTOCOL.md section 4.1). */
export function headEndpoint(
  head: LogHead,
  authenticate: NonNullable<Endpoint['authenticate']>,
): Endpoint {
  return {
    path: '/v1/head',
    authenticate,
    methods: {
      GET: {
        ...description,
        async serve(request, response, principal) {
          const patterns = readPatterns(request.url);
          requireGrant(principal, 'subscribe', 'history');
          for (const pattern of patterns ?? []) requirePermission(principal, 'subscribe', pattern);
          const leaving = new AbortController();
          response.once('close', () => leaving.abort(new Error('The client is gone.')));
          const flow = { user: principal.subject, connection: request.socket };
          const found = patterns
            ? await head.find(patterns, { flow, signal: leaving.signal })
            : await head.read();
          response.set(POSITION_HEADER, found.cursor).json(found);
        },
      },
    },
  };
}

/** @throws TidemarkError `invalid_query` or `invalid_pattern` */
function readPatterns(url: string): readonly string[] | undefined {
  const parameters = new URL(url, 'http://gateway').searchParams;
  const unknown = [...parameters.keys()].find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) {
    const name = JSON.stringify(unknown.slice(0, 80));
    throw new TidemarkError('invalid_query', `There is no query parameter ${name}.`);
  }
  const topics = parameters.get('topics');
  return topics === null ? undefined : parsePatternList(topics);
}
