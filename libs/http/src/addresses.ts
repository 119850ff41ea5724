import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { ConfigurationError } from '@tidemark/config';

/** The groups of an IPv6 address that name a network; whoever has one has all addresses in it. */
const NETWORK_GROUPS = 4;
const GROUPS = 8;

/** The part of a request that tells where it comes from. */
export interface AddressCarrier {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Reads addresses and CIDR ranges separated by commas. @throws ConfigurationError naming faults */
export function parseProxies(text: string): BlockList {
  const proxies = new BlockList();
  const faults: string[] = [];
  for (const item of text.split(',').map((one) => one.trim())) {
    if (item === '' || addProxy(proxies, item)) continue;
    faults.push(`TIDEMARK_TRUSTED_PROXIES: ${item} is no address and no range like 10.0.0.0/8`);
  }
  if (faults.length > 0) throw new ConfigurationError(faults);
  return proxies;
}

/**
 * The client that limits count: the nearest address that is not one of our proxies. Only a proxy's
 * word is taken for the address before it, so that nobody chooses an own one by sending the header.
 */
export function clientOf({ headers, socket }: AddressCarrier, proxies: BlockList): string {
  let address = plain(socket.remoteAddress ?? '');
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  while (forwarded.length > 0 && isTrusted(address, proxies)) {
    const before = plain(forwarded.pop()?.trim() ?? '');
    if (isIP(before) === 0) break;
    address = before;
  }
  return networkOf(address);
}

/** The address at the other end of a socket, unless that is a proxy, which speaks for many. */
export function peerOf({ remoteAddress = '' }: AddressCarrier['socket'], proxies: BlockList) {
  const address = plain(remoteAddress);
  return isTrusted(address, proxies) ? undefined : networkOf(address);
}

function addProxy(proxies: BlockList, item: string): boolean {
  const [address = '', bits, ...rest] = item.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (bits === undefined) {
    proxies.addAddress(address, family);
    return true;
  }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  proxies.addSubnet(address, Number(bits), family);
  return true;
}

function isTrusted(address: string, proxies: BlockList): boolean {
  const version = isIP(address);
  return version !== 0 && proxies.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/** IPv4 in the form of IPv6, as a socket for both shows it, is IPv4; ports and zones are no part. */
function plain(text: string): string {
  const bare = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? text;
  const mapped = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(bare)?.[1];
  return mapped ?? bare.replace(/%.*$/, '');
}

function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  // URL writes an address in its shortest form.
  const [, short = ''] = /\[(.*)\]/.exec(new URL(`http://[${address}]`).host) ?? [];
  const [before = '', after] = short.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after ? after.split(':') : [];
  const zeros = after === undefined ? 0 : GROUPS - head.length - tail.length;
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}
