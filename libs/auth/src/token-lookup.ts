import { BEARER_SUBPROTOCOL } from '@tidemark/protocol';

/** The parts of a request that can carry a token. */
export interface TokenCarrier {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly cookie?: string | undefined;
    readonly 'sec-websocket-protocol'?: string | undefined;
  };
  readonly url?: string | undefined;
}

/** Where a token may be besides the headers and the URL. */
export interface TokenLookup {
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
}

/** The single-use ticket of a request, from `?ticket=`; `undefined` if there is none. */
export function findTicket({ url }: TokenCarrier): string | undefined {
  return fromQuery(url, 'ticket');
}

/**
 * The token of a request; `undefined` if there is none. The first of these that holds one decides:
 *
 * 1. the `Authorization` header
 * 2. a `bearer.<token>` subprotocol (browsers over WebSocket)
 * 3. `?access_token=` (EventSource; RFC 6750 section 2.3)
 * 4. the cookie
 */
export function findToken(request: TokenCarrier, lookup: TokenLookup): string | undefined {
  const { headers, url } = request;
  return (
    fromAuthorization(headers.authorization) ??
    fromSubprotocols(headers['sec-websocket-protocol']) ??
    fromQuery(url, 'access_token') ??
    fromCookie(headers.cookie, lookup.cookieName)
  );
}

function fromAuthorization(header: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

function fromSubprotocols(header: string | undefined): string | undefined {
  const entry = header
    ?.split(',')
    .map((item) => item.trim())
    .find((item) => item.startsWith(BEARER_SUBPROTOCOL));
  return entry?.slice(BEARER_SUBPROTOCOL.length) || undefined;
}

function fromQuery(url: string | undefined, name: string): string | undefined {
  const start = url?.indexOf('?') ?? -1;
  if (url === undefined || start === -1) return undefined;
  return new URLSearchParams(url.slice(start)).get(name) || undefined;
}

function fromCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined || name === '') return undefined;
  const pair = header
    .split(';')
    .map((item) => item.trim())
    .find((item) => item.startsWith(`${name}=`));
  return pair?.slice(name.length + 1).replace(/^"(.*)"$/, '$1') || undefined;
}
