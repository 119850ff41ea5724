import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TYPES_BYTES_MAX, TYPES_MAX, TypeFilter, typesFault } from './type-filter.ts';

/** Few letters, so that types begin with one another. */
const type = fc.string({
  unit: fc.constantFrom('a', 'b', '.', 'é', '😀'),
  minLength: 1,
  maxLength: 5,
});
const name = fc.tuple(type, fc.boolean()).map(([text, open]) => (open ? `${text}*` : text));
const names = fc.array(fc.oneof({ weight: 9, arbitrary: name }, fc.constant('*')), {
  minLength: 1,
  maxLength: 8,
});

function matches(one: string, text: string): boolean {
  return one.endsWith('*') ? text.startsWith(one.slice(0, -1)) : text === one;
}

describe('type filter', () => {
  test('any names and types: it accepts what one of the names matches', () => {
    fc.assert(
      fc.property(names, fc.array(type), (list, types) => {
        const filter = new TypeFilter(list);
        for (const text of [...types, ...list]) {
          expect(filter.accepts(text)).toBe(list.some((one) => matches(one, text)));
        }
        expect(filter.isAll).toBe(list.includes('*'));
      }),
      { numRuns: 1000 },
    );
  });

  test('any order, duplicates and included types: one key', () => {
    fc.assert(
      fc.property(names, fc.nat(7), fc.string({ unit: 'grapheme' }), (list, at, more) => {
        const { key } = new TypeFilter(list);
        expect(new TypeFilter([...list, ...list].reverse()).key).toBe(key);
        const one = list[at % list.length] ?? '';
        const included = one.endsWith('*') ? `${one.slice(0, -1)}${more}` : one;
        expect(new TypeFilter([included, ...list]).key).toBe(key);
      }),
    );
  });

  test('union and overlap: as of the single names', () => {
    fc.assert(
      fc.property(names, names, fc.array(type), (left, right, types) => {
        const [one, other] = [new TypeFilter(left), new TypeFilter(right)];
        const union = TypeFilter.union([one, other]);
        for (const text of types) {
          expect(union.accepts(text)).toBe(one.accepts(text) || other.accepts(text));
        }
        const bare = (text: string) => text.replace('*', '');
        const overlaps = left.some((mine) =>
          right.some((theirs) => matches(mine, bare(theirs)) || matches(theirs, bare(mine))),
        );
        expect(one.overlaps(other)).toBe(overlaps);
        expect(other.overlaps(one)).toBe(overlaps);
      }),
      { numRuns: 1000 },
    );
  });

  test('limits: number, bytes, empty ones, a * that is not at the end, half of a character', () => {
    const many = Array.from({ length: TYPES_MAX }, (_, index) => `t${index}`);
    expect(typesFault(many)).toBeUndefined();
    expect(typesFault([...many, 'more'])).toContain('1 to 100 types');
    expect(typesFault([])).toContain('1 to 100 types');
    expect(typesFault(['x'.repeat(TYPES_BYTES_MAX)])).toBeUndefined();
    expect(typesFault(['é'.repeat(TYPES_BYTES_MAX / 2 + 1)])).toContain('bytes');
    expect(typesFault(['a', ''])).toContain('empty');
    expect(typesFault(['a*b'])).toContain('at the end');
    expect(typesFault(['a**'])).toContain('at the end');
    expect(typesFault(['\ud800*'])).toContain('Unicode');
    expect(typesFault(['*', 'order paid, of *'])).toBeUndefined();
  });
});
