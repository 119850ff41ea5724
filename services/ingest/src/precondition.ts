import type { IncomingHttpHeaders } from 'node:http';
import type { Precondition } from '@tidemark/nats';
import { parseCursor, TidemarkError } from '@tidemark/protocol';

/** An ETag, which a proxy that compresses answers makes weak. A cursor names the same event in either form. */
const TAG = '(?:W/)?"([^"]*)"';
/** The form of an `If-Match`. */
export const TAGS = new RegExp(`^\\s*${TAG}\\s*(?:,\\s*${TAG}\\s*)*$`);

/** Most cursors of one `If-Match`. Each may be a question to the stream. */
export const CURSORS_MAX = 8;

/**
 * Reads `If-Match: "<cursor>"`, which may have a list, or `If-None-Match: *` (RFC 9110 section 13.1), of which
 * a request may have one.
 *
 * @returns the conditions of which one must hold; `undefined` for no condition
 * @throws TidemarkError `invalid_query` or `invalid_cursor`
 */
export function readPreconditions(headers: IncomingHttpHeaders): Precondition[] | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match !== undefined && noneMatch !== undefined) {
    throw new TidemarkError('invalid_query', 'Send If-Match or If-None-Match, not both.');
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return ['empty'];
    throw new TidemarkError('invalid_query', 'If-None-Match accepts only *.');
  }
  if (match === undefined) return undefined;
  if (!TAGS.test(match)) {
    throw new TidemarkError('invalid_query', 'If-Match accepts cursors in double quotes.');
  }
  const cursors = new Set(
    Array.from(match.matchAll(new RegExp(TAG, 'g')), ([, cursor = '']) => cursor),
  );
  if (cursors.size > CURSORS_MAX) {
    throw new TidemarkError('invalid_query', `If-Match accepts at most ${CURSORS_MAX} cursors.`);
  }
  return Array.from(cursors, parseCursor);
}
