import { expect, test } from 'vitest';
import { parsePrincipal } from './stored-principal.ts';

const PRINCIPAL = {
  subject: 'alice',
  grants: [{ action: 'subscribe', pattern: 'orders.>' }],
  admin: false,
  expiresAtMs: 1000,
  tokenId: 't1',
};

test('stored principal: as it was stored: comes back the same', () => {
  expect(parsePrincipal(JSON.parse(JSON.stringify(PRINCIPAL)))).toEqual(PRINCIPAL);
});

test.each([
  ['nothing', undefined],
  ['no grants', { ...PRINCIPAL, grants: undefined }],
  ['an action that does not exist', { ...PRINCIPAL, grants: [{ action: 'own', pattern: '>' }] }],
  ['a pattern that is none', { ...PRINCIPAL, grants: [{ action: 'subscribe', pattern: '>.a' }] }],
  ['an expiry that is text', { ...PRINCIPAL, expiresAtMs: '1000' }],
])('stored principal: %s: is none', (_name, value) => {
  expect(parsePrincipal(value)).toBeUndefined();
});
