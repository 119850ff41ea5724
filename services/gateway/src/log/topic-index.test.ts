import { matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TopicIndex } from './topic-index.ts';

const token = fc.constantFrom('a', 'b', 'c');
const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => (open ? [...tokens.slice(0, -1), '>'] : tokens).join('.'));

const VISITS_MAX = 100_000;

describe('topic tree', () => {
  test('find: any topics set and deleted, any pattern: those that match', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(topic, fc.boolean()), { maxLength: 40 }),
        fc.array(pattern, { minLength: 1, maxLength: 5 }),
        (changes, patterns) => {
          const tree = new TopicIndex<string>();
          const model = new Set<string>();
          for (const [name, there] of changes) {
            if (there) tree.set(name, name);
            else tree.delete(name);
            if (there) model.add(name);
            else model.delete(name);
          }
          expect(tree.size).toBe(model.size);
          for (const asked of patterns) {
            const found = tree.find(asked, { left: VISITS_MAX });
            const expected = [...model].filter((name) => matches(asked, name));
            expect(found?.sort(), asked).toEqual(expected.sort());
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('find: more topics below than may be visited: given up', () => {
    const tree = new TopicIndex<number>();
    for (let index = 0; index < 100; index++) tree.set(`a.${index}`, index);
    expect(tree.find('a.*', { left: 50 })).toBeUndefined();
    expect(tree.find('a.7', { left: 50 })).toEqual([7]);
    expect(tree.find('a.*', { left: 200 })).toHaveLength(100);
  });

  test('find: hundreds of thousands of topics below: given up, not broken', () => {
    const tree = new TopicIndex<number>();
    for (let index = 0; index < 300_000; index++) tree.set(`a.${index}`, index);
    const budget = { left: 512 };
    expect(tree.find('a.*', budget)).toBeUndefined();
    expect(tree.find('>', budget)).toBeUndefined();
    // They are counted before they are listed.
    expect(budget.left).toBeGreaterThan(500);
  });

  test('delete: everything: nothing is kept', () => {
    const tree = new TopicIndex<number>();
    tree.set('a.b.c', 1);
    tree.set('a.b', 2);
    tree.delete('a.b.c');
    tree.delete('a');
    expect(tree.find('>', { left: 3 })).toEqual([2]);
    tree.delete('a.b');
    // Only the root is left to visit.
    expect(tree.find('>', { left: 1 })).toEqual([]);
  });
});
