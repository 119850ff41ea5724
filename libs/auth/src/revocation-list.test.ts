import { type Revocation, revocationKey } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import type { Principal } from './permissions.ts';
import { RevocationList } from './revocation-list.ts';

const SETTINGS = { tokenLifetimeSecondsMax: 100, tokenClockToleranceSeconds: 0 };

function bearer(more: Partial<Principal> = {}): Principal {
  const issuedAtMs = 50_000;
  return { subject: 'alice', grants: [], admin: false, expiresAtMs: 0, issuedAtMs, ...more };
}

describe('revocation list', () => {
  test.each<[string, Revocation, Principal, boolean]>([
    ['jti', { tokenId: 't1' }, bearer({ tokenId: 't1' }), true],
    ['another jti', { tokenId: 't1' }, bearer({ tokenId: 't2' }), false],
    ['jti, token without one', { tokenId: 't1' }, bearer(), false],
    ['jti that is a sub', { tokenId: 'alice' }, bearer(), false],
    ['sub', { subject: 'alice' }, bearer(), true],
    ['sub that is a jti', { subject: 't1' }, bearer({ tokenId: 't1' }), false],
    ['another sub', { subject: 'bob' }, bearer(), false],
    ['issued before the time', { subject: 'alice', issuedBeforeMs: 50_001 }, bearer(), true],
    ['issued at the time', { subject: 'alice', issuedBeforeMs: 50_000 }, bearer(), false],
  ])('%s: %o', (_, revocation, principal, expected) => {
    const list = new RevocationList(SETTINGS, () => 0);
    list.add(revocation, 0);
    expect(list.covers(principal)).toBe(expected);
  });

  test('issued before a time, token without iat: covered', () => {
    const list = new RevocationList(SETTINGS, () => 0);
    list.add({ subject: 'alice', issuedBeforeMs: 1 }, 0);
    const { issuedAtMs, ...rest } = bearer();
    expect(issuedAtMs).toBeDefined();
    expect(list.covers(rest)).toBe(true);
  });

  test('revocation as old as any token can be: over, and forgotten at the next', () => {
    let nowMs = 0;
    const list = new RevocationList(SETTINGS, () => nowMs);
    list.add({ subject: 'alice' }, 0);
    nowMs = 99_999;
    expect(list.covers(bearer())).toBe(true);
    nowMs = 100_000;
    expect(list.covers(bearer())).toBe(false);
    list.add({ subject: 'bob' }, nowMs);
    expect(list.size).toBe(1);
  });

  test('the same revocation again: is no news; a later time is', () => {
    const list = new RevocationList(SETTINGS, () => 0);
    expect(list.add({ subject: 'alice', issuedBeforeMs: 5 }, 0)).toBe(true);
    expect(list.add({ subject: 'alice', issuedBeforeMs: 5 }, 0)).toBe(false);
    expect(list.add({ subject: 'alice', issuedBeforeMs: 6 }, 0)).toBe(true);
    expect(list.add({ subject: 'alice' }, 0)).toBe(true);
    expect(list.add({ subject: 'alice' }, 0)).toBe(false);
  });

  test.each<[string, Revocation]>([
    ['jti', { tokenId: 't1' }],
    ['sub', { subject: 'alice' }],
    ['issued before a time', { subject: 'alice', issuedBeforeMs: 1 }],
  ])('record that cannot be read, %s: covers what its key names, until it is read', (_, one) => {
    let nowMs = 0;
    const list = new RevocationList(SETTINGS, () => nowMs);
    const alice = bearer({ tokenId: 't1' });
    list.addUnreadable(revocationKey(one), 0);
    expect(list.covers(alice)).toBe(true);
    expect(list.covers(bearer({ subject: 'bob', tokenId: 't2' }))).toBe(false);
    list.remove(one);
    expect(list.covers(alice)).toBe(false);
    list.addUnreadable(revocationKey(one), 0);
    nowMs = 100_000;
    expect(list.covers(alice)).toBe(false);
    list.addUnreadable('sub.other', nowMs);
    expect(list.size).toBe(1);
  });

  test('taken back: only that one', () => {
    const list = new RevocationList(SETTINGS, () => 0);
    list.add({ subject: 'alice' }, 0);
    list.add({ tokenId: 't1' }, 0);
    list.remove({ subject: 'alice' });
    expect(list.covers(bearer())).toBe(false);
    expect(list.covers(bearer({ tokenId: 't1' }))).toBe(true);
  });
});
