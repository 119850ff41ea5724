import { ConfigurationError } from '@tidemark/config';
import { expect, test } from 'vitest';
import { clientOf, parseProxies } from './addresses.ts';

const proxies = parseProxies('10.0.0.0/8, 192.0.2.7,2001:db8:1::/48');

test.each([
  ['no proxy: its own', '203.0.113.9', undefined, '203.0.113.9'],
  [
    'no proxy: what it says of itself is not believed',
    '203.0.113.9',
    '198.51.100.1',
    '203.0.113.9',
  ],
  ['a proxy: the client it names', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
  [
    'a proxy: what stands before the client is hearsay',
    '10.1.2.3',
    '1.1.1.1, 203.0.113.9',
    '203.0.113.9',
  ],
  ['two proxies: the client before both', '10.1.2.3', '203.0.113.9, 192.0.2.7', '203.0.113.9'],
  ['a proxy in the form of IPv6: the client', '::ffff:10.1.2.3', '203.0.113.9', '203.0.113.9'],
  ['a proxy that names rubbish: the proxy', '10.1.2.3', '<script>', '10.1.2.3'],
  ['a proxy that names nobody: the proxy', '10.1.2.3', undefined, '10.1.2.3'],
  ['a proxy that names a port: without it', '10.1.2.3', '203.0.113.9:4711', '203.0.113.9'],
  ['IPv6: its /64 network', '2001:db8::1:2:3:4', undefined, '2001:db8:0:0::/64'],
  [
    'IPv6 behind a proxy: its /64 network',
    '2001:db8:1::5',
    '[2a00:1:2:3:4::5]:80',
    '2a00:1:2:3::/64',
  ],
  ['IPv6 loopback: a network', '::1', undefined, '0:0:0:0::/64'],
  ['a socket that is gone: no address', undefined, undefined, ''],
])('client address: %s', (_, remoteAddress, forwarded, client) => {
  const headers = { 'x-forwarded-for': forwarded };
  expect(clientOf({ headers, socket: { remoteAddress } }, proxies)).toBe(client);
});

test('client address: other addresses of one IPv6 network: the same client', () => {
  const of = (remoteAddress: string) =>
    clientOf({ headers: {}, socket: { remoteAddress } }, proxies);
  expect(of('2001:db8:0:7::1')).toBe(of('2001:db8:0:7:ffff:ffff:ffff:ffff'));
  expect(of('2001:db8:0:7::1')).not.toBe(of('2001:db8:0:8::1'));
});

test('trusted proxies: what is no address: refused by name, all of it', () => {
  for (const text of ['proxy.example', '10.0.0.0/33', '10.0.0.0/8/8', '::/129', '10.0.0.0/-1']) {
    expect(() => parseProxies(`10.0.0.1,${text}`)).toThrow(ConfigurationError);
    expect(() => parseProxies(text)).toThrow(
      `TIDEMARK_TRUSTED_PROXIES: ${text} is neither an address`,
    );
  }
});
