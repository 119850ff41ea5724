import {
  covers as coversByProtocol,
  isPattern as isPatternByProtocol,
  isTopic as isTopicByProtocol,
} from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { covers, isPattern, isTopic, ownTopic, permits } from './grants.ts';

const token = fc.constantFrom('a', 'b', '*', '>', 'A_-9', '', 'é', '*a');
const text = fc.array(token, { minLength: 1, maxLength: 17 }).map((tokens) => tokens.join('.'));
const few = fc
  .array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 4 })
  .chain((tokens) => fc.constantFrom(tokens.join('.'), [...tokens, '>'].join('.'), '>'));

describe('grants', () => {
  test('a text is a topic or a pattern where the protocol says so', () => {
    fc.assert(
      fc.property(text, (one) => {
        expect(isTopic(one)).toBe(isTopicByProtocol(one));
        expect(isPattern(one)).toBe(isPatternByProtocol(one));
      }),
    );
    const long = 'a'.repeat(200);
    expect([isTopic(long), isTopic(`${long}a`)]).toEqual([true, false]);
  });

  test('a pattern covers another where the protocol says so', () => {
    fc.assert(
      fc.property(few, few, (one, other) => {
        expect(covers(one, other)).toBe(coversByProtocol(one, other));
      }),
    );
  });

  test('a permission is for its own action', () => {
    const permissions = ['subscribe:orders.>', 'admin', 'history:>'];
    expect(permits(permissions, 'subscribe', 'orders.*')).toBe(true);
    expect(permits(permissions, 'publish', 'orders.1')).toBe(false);
    expect(permits(permissions, 'subscribe', '>')).toBe(false);
  });

  test.each([
    [['publish:>', 'subscribe:>'], 'try.k3x9'],
    [['publish:orders.*', 'subscribe:orders.>'], 'orders.k3x9'],
    [['publish:orders.>', 'subscribe:orders.>'], 'orders.k3x9'],
    [['publish:a', 'publish:b', 'subscribe:b'], 'b'],
    [['publish:>', 'subscribe:orders.>'], undefined],
    [['subscribe:>'], undefined],
  ])('%j: a topic that may be published and read is %s', (permissions, expected) => {
    expect(ownTopic(permissions, 'k3x9')).toBe(expected);
  });
});
