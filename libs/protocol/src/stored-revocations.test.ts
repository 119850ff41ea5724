import { expect, test } from 'vitest';
import { parseStoredRevocation, revocationKey, revocationKeysOf } from './stored-revocations.ts';

test.each([
  { revocation: { tokenId: 't' } },
  { revocation: { subject: 's' } },
  { revocation: { subject: 's', issuedBeforeMs: 5 }, lifted: true },
])('stored revocation %o: is read as it was', (stored) => {
  expect(parseStoredRevocation(JSON.stringify(stored))).toEqual(stored);
});

test.each([
  '',
  '{}',
  'null',
  '{"stream":"TIDEMARK_EVENTS","seq":1}',
  '{"revocation":{}}',
  '{"revocation":{"subject":1}}',
  '{"revocation":{"subject":"s","tokenId":"t"}}',
  '{"revocation":{"subject":"s","issuedBeforeMs":"5"}}',
  '{"revocation":{"subject":"s"},"lifted":"yes"}',
])('stored revocation %s: is none', (text) => {
  expect(parseStoredRevocation(text)).toBeUndefined();
});

test('keys of a token: those of each revocation that can cover it', () => {
  const keys = revocationKeysOf({ subject: 's', tokenId: 't' });
  const all = [{ tokenId: 't' }, { subject: 's' }, { subject: 's', issuedBeforeMs: 9 }];
  expect(keys.toSorted()).toEqual(all.map(revocationKey).toSorted());
  expect(revocationKeysOf({ subject: 's' })).toHaveLength(2);
});
