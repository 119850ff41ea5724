import { matches, overlaps, TypeFilter } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PatternSet } from './pattern-set.ts';

const pattern = fc.constantFrom('a', 'b', 'a.b', 'a.*', '*', '*.b', '>', 'a.>', '*.*', 'b.a');
const patterns = fc.array(pattern, { minLength: 1, maxLength: 4 });
const types = fc.option(
  fc.array(fc.constantFrom('t', 't*', 't.a', 't.b', 't.*', 'u', '*'), {
    minLength: 1,
    maxLength: 2,
  }),
  { nil: undefined },
);
const wish = fc.record({ list: patterns, types });
const topic = fc.constantFrom('a', 'b', 'a.b', 'b.a', 'a.b.c', 'c');

const EVENTS = ['a', 'b', 'a.b', 'b.a', 'a.b.c', 'c', 'b.c'].flatMap((name) => {
  return ['t', 't.a', 't.b', 't.c', 'u', 'v'].map((type) => ({ topic: name, type }));
});

function setOf(one: { list: readonly string[]; types: readonly string[] | undefined }): PatternSet {
  return new PatternSet(one.list, one.types && new TypeFilter(one.types));
}

/** What a set wants of all events, by its parts. */
function wantedBy({ parts }: PatternSet): typeof EVENTS {
  return EVENTS.filter(({ topic: name, type }) => {
    return parts.some((part) => part.matches(name) && (part.types?.accepts(type) ?? true));
  });
}

describe('pattern set', () => {
  test('union with types: any sets: its parts want what any of them wants, its types all of it', () => {
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 4 }), (wishes) => {
        const sets = wishes.map(setOf);
        const union = PatternSet.union(sets);
        const wanted = wantedBy(union);
        const each = sets.map(wantedBy);
        expect(wanted).toEqual(EVENTS.filter((event) => each.some((one) => one.includes(event))));
        for (const { topic: name, type } of wanted) {
          expect(union.matches(name)).toBe(true);
          expect(union.types?.accepts(type) ?? true).toBe(true);
        }
        const again = PatternSet.union([union, union]);
        expect(again.key).toBe(union.key);
        expect(wantedBy(again)).toEqual(wanted);
      }),
      { numRuns: 500 },
    );
  });

  test('union with types: thousands of them: not joined, and still what any of them wants', () => {
    const sets = Array.from({ length: 100 }, (_, index) => {
      const names = Array.from({ length: 100 }, (_unused, at) => `t.${index}.${at}`);
      return setOf({ list: ['a', index % 2 === 0 ? 'a.b' : 'b'], types: names });
    });
    const startMs = performance.now();
    const union = PatternSet.union(sets);
    expect(union.types).toBeUndefined();
    // A step of a user's work takes about as long. Joining all took 40 ms.
    expect(performance.now() - startMs).toBeLessThan(100);
    const wants = (name: string, type: string) => {
      return union.parts.some((part) => part.list.includes(name) && part.types?.accepts(type));
    };
    expect(wants('a', 't.7.99')).toBe(true);
    expect(wants('b', 't.7.99')).toBe(true);
    expect(wants('a.b', 't.7.99')).toBe(false);
    expect(wants('a', 't.7.100')).toBe(false);
  });

  test('union with types: of subscriptions to one pattern: one part, unless they are too many', () => {
    const few = ['t', 'u', 'v*'].map((type) => setOf({ list: ['a', 'b'], types: [type] }));
    expect(PatternSet.union(few).parts.length).toBe(1);
    const same = setOf({ list: ['b', 'a'], types: ['v*', 'u', 't', 'v.x'] });
    expect(PatternSet.union(few).key).toBe(same.key);
    expect(PatternSet.union([...few, setOf({ list: ['b'], types: undefined })]).parts).toHaveLength(
      2,
    );
  });

  test('overlap with types: any two unions: some two patterns with some two types overlap', () => {
    const wishes = fc.array(wish, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(wishes, wishes, (left, right) => {
        const expected = left.some((mine) =>
          right.some((theirs) => {
            const [one, other] = [mine, theirs].map((each) => new TypeFilter(each.types ?? ['*']));
            return one?.overlaps(other as TypeFilter) && setOf(mine).overlaps(setOf(theirs));
          }),
        );
        const [one, other] = [left, right].map((all) => PatternSet.union(all.map(setOf)));
        expect(one?.overlaps(other as PatternSet)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('key with types: equal for equal patterns and types, in any order, and for * as for none', () => {
    const key = (list: string[], names?: string[]) => setOf({ list, types: names }).key;
    expect(key(['a', 'b'], ['t', 'u*'])).toBe(key(['b', 'a', 'a'], ['u*', 'u', 't', 't']));
    expect(key(['a'], ['t'])).not.toBe(key(['a'], ['t*']));
    expect(key(['a'], ['t'])).not.toBe(key(['b'], ['t']));
    expect(key(['a'], ['t'])).not.toBe(key(['a']));
    expect(key(['a'], ['t', '*'])).toBe(key(['a']));
    expect(key(['a'], ['x'.repeat(1000)]).length).toBeLessThan(64);
  });

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
