import { expect, test } from 'vitest';
import { distance, sequenceOf } from './cursors.ts';

test('the number of a cursor', () => {
  expect(sequenceOf('mwykp5cq-11208')).toBe(11208);
  expect(sequenceOf('mwykp5cq.k2-0')).toBe(0);
  expect(['', 'x', 'x-', '-1', 'X-1', 'a-1 ', null, undefined].map(sequenceOf)).toEqual(
    Array(8).fill(undefined),
  );
});

test('the distance of two cursors is never negative', () => {
  expect(distance('a-3', 'a-10')).toBe(7);
  expect(distance('a-10', 'a-3')).toBe(0);
  expect(distance(undefined, 'a-3')).toBeUndefined();
});
