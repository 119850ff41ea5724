import type { IncomingHttpHeaders } from 'node:http';
import type { Precondition } from '@tidemark/nats';
import { parseCursor, TidemarkError } from '@tidemark/protocol';

const STRONG_TAG = /^\s*"([^"]*)"\s*$/;

/**
 * Reads `If-Match: "<cursor>"` or `If-None-Match: *` (RFC 9110 section 13.1), of which a request
 * may have one.
 *
 * @throws TidemarkError `invalid_query` or `invalid_cursor`
 */
export function readPrecondition(headers: IncomingHttpHeaders): Precondition | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match !== undefined && noneMatch !== undefined) {
    throw new TidemarkError('invalid_query', 'Send If-Match or If-None-Match, not both.');
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return 'empty';
    throw new TidemarkError('invalid_query', 'If-None-Match accepts only *.');
  }
  if (match === undefined) return undefined;
  const cursor = STRONG_TAG.exec(match)?.[1];
  if (cursor === undefined) {
    throw new TidemarkError('invalid_query', 'If-Match accepts one cursor in double quotes.');
  }
  return parseCursor(cursor);
}
