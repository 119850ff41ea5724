import { matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PatternTree } from './pattern-tree.ts';

const VALUES: readonly object[] = Array.from({ length: 4 }, () => ({}));

function objectOf(value: number): object {
  return VALUES[value] ?? expect.fail();
}

const token = fc.constantFrom('a', 'b');
const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => (open ? [...tokens.slice(0, -1), '>'] : tokens).join('.'));
const change = fc.record({ pattern, value: fc.integer({ min: 0, max: 3 }), added: fc.boolean() });

describe('pattern tree', () => {
  test('match: any patterns added and deleted: each value that matches, once', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.array(topic), (changes, topics) => {
        const tree = new PatternTree<object>();
        const model = new Map<string, { pattern: string; value: number }>();
        for (const { added, ...one } of changes) {
          const key = `${one.pattern} ${one.value}`;
          if (added) {
            tree.add(one.pattern, objectOf(one.value));
            model.set(key, one);
          } else {
            tree.delete(one.pattern, objectOf(one.value));
            model.delete(key);
          }
        }
        for (const name of topics) {
          const expected = [...model.values()].filter((one) => matches(one.pattern, name));
          const values = [...new Set(expected.map(({ value }) => value))];
          const found = tree.matching(name).map((each) => VALUES.indexOf(each));
          expect(found.sort(), name).toEqual(values.sort());
        }
      }),
      { numRuns: 1000 },
    );
  });
});
