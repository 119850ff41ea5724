import { expect, test } from 'vitest';
import type { Principal } from './permissions.ts';
import { PrincipalCache } from './principal-cache.ts';

const LENGTH = 400;

function principal(subject: string): Principal {
  return { subject, grants: [], admin: false, expiresAtMs: 1_000_000 };
}

function token(index: number): string {
  return String(index).padStart(LENGTH, 't');
}

test('ten thousand clients that come back: each is known', () => {
  const cache = new PrincipalCache();
  for (let index = 0; index < 10_000; index++) {
    cache.add(token(index), principal(`u${index}`), 0);
  }
  for (let index = 0; index < 10_000; index++) {
    expect(cache.get(token(index), 29_999)?.subject).toBe(`u${index}`);
  }
  expect(cache.get(token(1), 30_000)).toBeUndefined();
});

test('too many characters: whoever was not asked for the longest leaves first', () => {
  const cache = new PrincipalCache();
  const most = Math.floor((8 * 1024 * 1024) / LENGTH);
  for (let index = 0; index < most; index++) cache.add(token(index), principal('u'), 0);
  // Again, which counts once.
  cache.add(token(most - 1), principal('u'), 0);
  expect(cache.get(token(0), 1)).toBeDefined();
  cache.add(token(most), principal('u'), 1);
  expect(cache.get(token(0), 1)).toBeDefined();
  expect(cache.get(token(1), 1)).toBeUndefined();
  expect(cache.get(token(2), 1)).toBeDefined();
});
