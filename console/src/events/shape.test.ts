import { expect, test } from 'vitest';
import { readJson, shapeOf } from './shape.ts';

test('the shape of data names fields and kinds', () => {
  const data = { order: 1, items: [{ sku: 'a', paid: true }], note: null, none: [], empty: {} };
  expect(shapeOf(data)).toBe(
    '{ order: number, items: [{ sku: text, paid: boolean }], note: null, none: [], empty: {} }',
  );
  expect(shapeOf('text')).toBe('text');
});

test('what is deep or has many fields is cut', () => {
  expect(shapeOf({ a: { b: { c: { d: 1 } } } })).toBe('{ a: { b: { c: {…} } } }');
  const wide = Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`f${index}`, 1]));
  expect(shapeOf(wide)).toMatch(/f11: number, … }$/);
});

test('text that is no JSON is told as such; nothing is no data', () => {
  expect(readJson(' ')).toEqual({ value: undefined });
  expect(readJson('{"a": [1, 2]}')).toEqual({ value: { a: [1, 2] } });
  expect(readJson('{"a": }')).toEqual({ fault: expect.stringContaining('not JSON') });
});
