import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;

const METHODS = 'GET, HEAD, POST, DELETE';
const EXPOSED_HEADERS = 'ETag, Link, Retry-After, Tidemark-Position';

/** Names of headers as a preflight lists them (RFC 9110 section 5.6.2). */
const HEADER_NAMES = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$/;

/**
 * An `Origin` that is a name without a scheme: senders of webhooks name themselves so (CloudEvents webhooks,
 * section 4.1.1), and no browser does.
 */
const SENDER_NAME = /^(?!null$)[\w.-]+$/i;

/** The origins of the web pages that may use a service from a browser. */
export type Origins = ReadonlySet<string>;

/** The headers in which a browser names the page that sends a request. */
export interface OriginCarrier {
  readonly headers: {
    readonly origin?: string | undefined;
    readonly 'sec-fetch-site'?: string | string[] | undefined;
  };
}

/**
 * Reads origins separated by commas. `*` and `null` are refused, because every page, or every sandboxed
 * one, could then act with the cookies of its visitors.
 *
 * @example parseOrigins('https://app.example, https://admin.example')
 * @throws ConfigurationError that names every text that is not an origin
 */
export function parseOrigins(text: string): Origins {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  const wrong = items.filter((item) => !isOrigin(item));
  if (wrong.length === 0) return new Set(items);
  throw new ConfigurationError(
    wrong.map(
      (item) => `TIDEMARK_ALLOWED_ORIGINS: ${item} is not an origin like https://app.example`,
    ),
  );
}

/**
 * Refuses requests of pages that are not allowed. Without configured origins all are allowed.
 *
 * @throws TidemarkError `forbidden`
 */
export function checkOrigin(carrier: OriginCarrier, origins: Origins): void {
  const origin = pageOf(carrier);
  if (origins.size === 0 || origin === undefined || origins.has(origin)) return;
  throw new TidemarkError('forbidden', 'This origin is not allowed here.');
}

/**
 * Whether the cookie of a request may be used. Browsers add it to the requests of any page, so the page
 * must be allowed or, as the browser reports, of the service's own origin.
 */
export function mayUseCookie({ headers }: OriginCarrier, origins: Origins): boolean {
  const { origin } = headers;
  if (origin !== undefined) return origins.has(origin);
  return headers['sec-fetch-site'] === 'same-origin';
}

/**
 * Names the page that may read the answer, refuses those of others, and answers preflights.
 *
 * @returns whether the request is still to be answered
 * @throws TidemarkError `forbidden`
 */
export function share(
  request: IncomingMessage,
  response: ServerResponse,
  origins: Origins,
): boolean {
  if (origins.size === 0) return true;
  response.setHeader('Vary', 'Origin');
  const origin = pageOf(request);
  checkOrigin(request, origins);
  if (origin === undefined) return true;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Allow-Credentials', 'true');
  response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
  const { headers, method } = request;
  if (method !== 'OPTIONS' || !headers['access-control-request-method']) return true;
  const asked = headers['access-control-request-headers'];
  response.setHeader('Access-Control-Allow-Methods', METHODS);
  response.setHeader('Access-Control-Max-Age', String(PREFLIGHT_SECONDS));
  if (asked && HEADER_NAMES.test(asked)) response.setHeader('Access-Control-Allow-Headers', asked);
  response.statusCode = 204;
  response.end();
  return false;
}

/** The origin of the page that sends a request; `undefined` where none does. */
function pageOf({ headers: { origin } }: OriginCarrier): string | undefined {
  return origin !== undefined && SENDER_NAME.test(origin) ? undefined : origin;
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, origin } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && origin === text;
}
