import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { RequestHandler } from 'express';

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;

const METHODS = 'GET, HEAD, POST, DELETE';
const EXPOSED_HEADERS = 'ETag, Link, Retry-After';

/** Names of headers as a preflight lists them (RFC 9110 section 5.6.2). */
const HEADER_NAMES = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$/;

/** The web pages that may use a service from a browser; none, where the set is empty. */
export type Origins = ReadonlySet<string>;

/** The part of a request that tells where a browser sent it from. */
export interface OriginCarrier {
  readonly headers: {
    readonly origin?: string | undefined;
    readonly 'sec-fetch-site'?: string | string[] | undefined;
  };
}

/**
 * Reads origins separated by commas. `*` and `null` are none: every page, or every sandboxed one,
 * would act with the cookies of whoever looks at it.
 *
 * @throws ConfigurationError naming what is no origin
 */
export function parseOrigins(text: string): Origins {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  const wrong = items.filter((item) => !isOrigin(item));
  if (wrong.length === 0) return new Set(items);
  throw new ConfigurationError(
    wrong.map((item) => `TIDEMARK_ALLOWED_ORIGINS: ${item} is no origin like https://app.example`),
  );
}

/** @throws TidemarkError `forbidden` for a page that is not allowed, where pages are configured */
export function checkOrigin({ headers }: OriginCarrier, origins: Origins): void {
  const { origin } = headers;
  if (origins.size === 0 || origin === undefined || origins.has(origin)) return;
  throw new TidemarkError('forbidden', 'This origin is not allowed here.');
}

/**
 * Whether a cookie may speak for its user. A browser sends it along with whatever a page asks for,
 * so the page must be one that is allowed, or of the service's own origin as the browser says.
 */
export function mayUseCookie({ headers }: OriginCarrier, origins: Origins): boolean {
  const { origin } = headers;
  if (origin !== undefined) return origins.has(origin);
  return headers['sec-fetch-site'] === 'same-origin';
}

/** CORS for the pages that are allowed; others are refused before anything else happens. */
export function shareWith(origins: Origins): RequestHandler {
  return (request, response, next) => {
    if (origins.size === 0) {
      next();
      return;
    }
    response.vary('Origin');
    const origin = request.get('Origin');
    checkOrigin(request, origins);
    if (origin === undefined) {
      next();
      return;
    }
    response.set({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': EXPOSED_HEADERS,
    });
    if (request.method !== 'OPTIONS' || !request.get('Access-Control-Request-Method')) {
      next();
      return;
    }
    const asked = request.get('Access-Control-Request-Headers');
    response.set({
      'Access-Control-Allow-Methods': METHODS,
      'Access-Control-Max-Age': String(PREFLIGHT_SECONDS),
      ...(asked && HEADER_NAMES.test(asked) && { 'Access-Control-Allow-Headers': asked }),
    });
    response.status(204).end();
  };
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, origin } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && origin === text;
}
