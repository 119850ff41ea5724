import { expect, test } from 'vitest';
import { isAdmin, type Principal, parseScope, permits, requirePermission } from './permissions.ts';

function principal(scope: string): Principal {
  return { subject: 'alice', expiresAtMs: 0, ...parseScope(scope) };
}

test.each([
  ['publish:orders.42', 'publish', 'orders.42', true],
  ['publish:orders.42', 'subscribe', 'orders.42', false],
  ['publish:orders.*', 'publish', 'orders.42', true],
  ['publish:orders.*', 'publish', 'orders.42.lines', false],
  ['subscribe:orders.*', 'subscribe', 'orders.>', false],
  ['subscribe:orders.>', 'subscribe', 'orders.*', true],
  ['subscribe:>', 'subscribe', '>', true],
  ['subscribe:a.* subscribe:b.*', 'subscribe', '*.*', false],
  ['history:orders.> inbox:alice', 'history', 'orders.7', true],
  ['history:orders.> inbox:alice', 'inbox', 'alice', true],
  ['admin', 'publish', 'orders.42', false],
  ['subscribe:orders.>', 'subscribe', 'tidemark.erased.orders.*', true],
  ['history:orders.>', 'history', 'tidemark.erased.orders.7', true],
  ['subscribe:orders.>', 'subscribe', 'tidemark.erased.>', false],
  ['subscribe:orders.>', 'history', 'tidemark.erased.orders.7', false],
  ['subscribe:orders.>', 'subscribe', 'tidemark.erasures', false],
  ['publish:orders.>', 'publish', 'tidemark.erased.orders.7', false],
] as const)('permits: scope %j, asked %s:%s: %s', (scope, action, pattern, expected) => {
  expect(permits(principal(scope), action, pattern)).toBe(expected);
});

test('scope: unknown and malformed words: grant nothing and spoil nothing', () => {
  const scope = 'openid  fly:> publish publish: publish:a..b Publish:> :> publish:ok administrator';
  const { grants, admin } = parseScope(scope);
  expect(grants).toEqual([{ action: 'publish', pattern: 'ok' }]);
  expect(admin).toBe(false);
});

test('scope: admin among other words: is admin', () => {
  expect(isAdmin(principal('publish:a admin'))).toBe(true);
});

test('requirePermission: not permitted: forbidden naming action and pattern', () => {
  const alice = principal('publish:orders.*');
  expect(() => requirePermission(alice, 'publish', 'orders.1')).not.toThrow();
  expect(() => requirePermission(alice, 'publish', 'users.1')).toThrow(
    expect.objectContaining({
      code: 'forbidden',
      message: expect.stringContaining('publish:users.1'),
    }),
  );
});
