import { covers, PatternMatcher } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { narrowed, topicRanges } from './topic-ranges.ts';

const token = fc.constantFrom('a', 'ab', 'A', '0', '-', '_x');
const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 3 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open || tokens.length === 0 ? ['>'] : [])].join('.'));
const patterns = fc.array(pattern, { minLength: 1, maxLength: 5 });

function within(ranges: ReturnType<typeof topicRanges>, name: string): boolean {
  return ranges.some(({ from, below }) => name >= from && name < below);
}

describe('topic ranges', () => {
  test('topic ranges: any patterns: hold each matching topic, and are disjoint and in order', () => {
    fc.assert(
      fc.property(patterns, topic, (list, name) => {
        const ranges = topicRanges(list);
        if (new PatternMatcher(list).matches(name)) expect(within(ranges, name)).toBe(true);
        for (const [index, { from, below }] of ranges.entries()) {
          expect(from < below).toBe(true);
          const next = ranges[index + 1];
          if (next) expect(below <= next.from).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('topic ranges: narrowed by grants: hold each topic that both allow', () => {
    fc.assert(
      fc.property(patterns, patterns, topic, (asked, granted, name) => {
        const both = [asked, granted].every((list) => new PatternMatcher(list).matches(name));
        if (both) expect(within(topicRanges(narrowed(asked, granted)), name)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('topic ranges: a literal prefix: leaves out the names beside it', () => {
    expect(topicRanges(['orders.>', 'orders.1.*'])).toEqual([
      { from: 'orders.', below: 'orders/' },
    ]);
    expect(narrowed(['>'], ['user.7.>'])).toEqual(['user.7.>']);
    expect(covers('orders.>', 'orders')).toBe(false);
  });
});
