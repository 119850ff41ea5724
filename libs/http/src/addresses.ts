import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { ConfigurationError } from '@tidemark/config';

/** The groups of an IPv6 address that name its network. One client may have all addresses of it. */
const NETWORK_GROUPS = 4;
const GROUPS = 8;

/** The parts of a request that hold addresses. */
export interface AddressCarrier {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * Reads addresses and CIDR ranges separated by commas.
 *
 * @example parseProxies('127.0.0.1, 10.0.0.0/8')
 * @throws ConfigurationError that names every fault
 */
export function parseProxies(text: string): BlockList {
  const proxies = new BlockList();
  const faults: string[] = [];
  for (const item of text.split(',').map((one) => one.trim())) {
    if (item === '' || addProxy(proxies, item)) continue;
    faults.push(
      `TIDEMARK_TRUSTED_PROXIES: ${item} is neither an address nor a range like 10.0.0.0/8`,
    );
  }
  if (faults.length > 0) throw new ConfigurationError(faults);
  return proxies;
}

/**
 * The address that limits count for a request: the nearest one that is not a trusted proxy. An IPv6
 * address counts as its /64 network. `X-Forwarded-For` is believed only where a trusted proxy sent it,
 * so that no client can choose its own address.
 */
export function clientOf({ headers, socket }: AddressCarrier, proxies: BlockList): string {
  let address = plain(socket.remoteAddress ?? '');
  const header = headers['x-forwarded-for'];
  // Without it nobody need ask whether the peer is a proxy, which takes as long as all else.
  if (header === undefined) return networkOf(address);
  const forwarded = String(header).split(',');
  while (forwarded.length > 0 && isTrusted(address, proxies)) {
    const before = plain(forwarded.pop()?.trim() ?? '');
    if (isIP(before) === 0) break;
    address = before;
  }
  return networkOf(address);
}

/** The address at the other end of a socket; `undefined` for a trusted proxy. */
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

/** An address without port and zone. An IPv4 address in IPv6 form becomes plain IPv4. */
function plain(text: string): string {
  if (isIP(text) === 4) return text;
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
