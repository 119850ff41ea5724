import { type ErrorBody, offlineError, TidemarkPublisherError } from './errors.ts';
import type { Published } from './types.ts';

/** What ingest answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * Reads what ingest stored. An answer that is not one of ingest, such as the page of a proxy or a redirect, says nothing
 * about the events: it counts as an outage, so that they are sent again.
 *
 * @param count how many events were sent
 * @throws TidemarkPublisherError what ingest refused, or `offline`
 */
export function readAnswer({ status, headers, text }: Answer, count: number): readonly Published[] {
  const body = parse(text);
  const published = count === 1 ? [body] : body;
  if (status === 201 && isPublished(published, count)) return published;
  const retryAfterMs = readRetryAfter(headers.get('retry-after'));
  if (status >= 400 && isErrorBody(body)) throw new TidemarkPublisherError(body, { retryAfterMs });
  throw offlineError(`The answer is ${status}, and not one of ingest.`);
}

function isPublished(body: unknown, count: number): body is readonly Published[] {
  return (
    Array.isArray(body) &&
    body.length === count &&
    body.every((one) => typeof one?.cursor === 'string' && typeof one.id === 'string')
  );
}

function isErrorBody(body: unknown): body is ErrorBody {
  const { code, message, retryable } = Object(body) as Partial<ErrorBody>;
  return typeof code === 'string' && typeof message === 'string' && typeof retryable === 'boolean';
}

/** Seconds or a date (RFC 9110 section 10.2.3). */
function readRetryAfter(text: string | null): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
