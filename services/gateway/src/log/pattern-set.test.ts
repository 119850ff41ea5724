import { matches, overlaps } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PatternSet } from './pattern-set.ts';

const pattern = fc.constantFrom('a', 'b', 'a.b', 'a.*', '*', '*.b', '>', 'a.>', '*.*', 'b.a');
const patterns = fc.array(pattern, { minLength: 1, maxLength: 4 });
const topic = fc.constantFrom('a', 'b', 'a.b', 'b.a', 'a.b.c', 'c');

describe('pattern set', () => {
  test('match: any patterns, any topics asked again and again: as each pattern says', () => {
    fc.assert(
      fc.property(patterns, fc.array(topic), (given, topics) => {
        const set = new PatternSet(given);
        for (const name of topics) {
          expect(set.matches(name)).toBe(given.some((one) => matches(one, name)));
        }
      }),
    );
  });

  test('overlap: any two sets: some two patterns overlap', () => {
    fc.assert(
      fc.property(patterns, patterns, (left, right) => {
        const expected = left.some((mine) => right.some((theirs) => overlaps(mine, theirs)));
        expect(new PatternSet(left).overlaps(new PatternSet(right))).toBe(expected);
      }),
    );
  });

  test('key: the same patterns in any order and number: the same key', () => {
    fc.assert(
      fc.property(patterns, patterns, (left, right) => {
        const same = [...new Set(left)].sort().join() === [...new Set(right)].sort().join();
        expect(new PatternSet(left).key === new PatternSet(right).key).toBe(same);
      }),
    );
  });

  test('key: long lists: short, equal for the same patterns only', () => {
    const list = Array.from({ length: 100 }, (_, index) => `orders.${index}`);
    const { key } = new PatternSet(list);
    expect(key.length).toBeLessThan(64);
    expect(new PatternSet([...list].reverse()).key).toBe(key);
    expect(new PatternSet(list.slice(1)).key).not.toBe(key);
  });

  test('union: any sets: matches what any of them matches', () => {
    fc.assert(
      fc.property(fc.array(patterns, { minLength: 1, maxLength: 3 }), topic, (all, name) => {
        const sets = all.map((one) => new PatternSet(one));
        const union = PatternSet.union(sets);
        expect(union.matches(name)).toBe(sets.some((set) => set.matches(name)));
      }),
    );
  });
});
