import { requireGrant, requirePermission } from '@tidemark/auth';
import type { Endpoint } from '@tidemark/http';
import { POSITION_HEADER, parsePatternList, TidemarkError } from '@tidemark/protocol';
import type { LogHead } from '../sources/log-head.ts';

const KNOWN = ['topics', 'access_token'];

/** `GET /v1/head` (PROTOCOL.md section 4.1). */
export function headEndpoint(
  head: LogHead,
  authenticate: NonNullable<Endpoint['authenticate']>,
): Endpoint {
  return {
    path: '/v1/head',
    authenticate,
    methods: {
      async GET(request, response, principal) {
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
