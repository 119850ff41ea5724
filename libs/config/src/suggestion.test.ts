import { expect, test } from 'vitest';
import { leastMs } from '../../../test/support/least-ms.ts';
import { closest } from './suggestion.ts';

const KNOWN = ['topics', 'types', 'after'];

test('closest: one letter off, two swapped, one too many: found; something else: not', () => {
  expect(closest('topic', KNOWN)).toBe('topics');
  expect(closest('tpyes', KNOWN)).toBe('types');
  expect(closest('afterr', KNOWN)).toBe('after');
  expect(closest('cacheBuster', KNOWN)).toBeUndefined();
});

test('closest: a name of a megabyte: compared with none', () => {
  const name = 'x'.repeat(1_000_000);
  expect(leastMs(5, () => expect(closest(name, KNOWN)).toBeUndefined())).toBeLessThan(20);
});
