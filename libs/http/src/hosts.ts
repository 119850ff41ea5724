import type { IncomingHttpHeaders } from 'node:http';
import { TidemarkError } from '@tidemark/protocol';
import { type AddressCarrier, parseProxies, peerOf } from './addresses.ts';

/** Names and addresses of this machine itself, without a port. */
const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Where a service listens, and by which names it is reached. */
export interface HostConfiguration {
  readonly host: string;
  /** Names separated by commas; `*` for any. */
  readonly allowedHosts: string;
  readonly trustedProxies: string;
}

/** A request, as far as its `Host` is concerned. */
export type HostCarrier = { readonly headers: IncomingHttpHeaders } & Partial<AddressCarrier>;

/**
 * Refuses a request to a name that the service does not have.
 *
 * @throws TidemarkError `forbidden`
 */
export type CheckHost = (request: HostCarrier) => void;

/**
 * Reads by which names a service may be reached. A web page can give its own name the address 127.0.0.1
 * (DNS rebinding), and the browser then counts a service on this machine to the page's own origin. So a
 * service that listens on a loopback address alone answers under loopback names, under those that are
 * configured, and what a trusted proxy sends. Any other service answers under all names where none is
 * configured.
 */
export function parseHosts({ host, allowedHosts, trustedProxies }: HostConfiguration): CheckHost {
  const names = new Set(
    allowedHosts
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ''),
  );
  const isLocal = LOOPBACK.test(host.includes(':') ? `[${host}]` : host);
  if (names.has('*') || (names.size === 0 && !isLocal)) return () => {};
  const proxies = parseProxies(trustedProxies);
  return ({ headers, socket }) => {
    const name = (headers.host ?? '').toLowerCase().replace(/:\d*$/, '');
    if (name === '' || LOOPBACK.test(name) || names.has(name)) return;
    if (socket && peerOf(socket, proxies) === undefined) return;
    throw new TidemarkError(
      'forbidden',
      'The service is not reached under this name; TIDEMARK_ALLOWED_HOSTS names others.',
    );
  };
}
