import { expect, test } from 'vitest';
import { costOf, lineThrough, without } from './costs.ts';

test('costs: a line goes through both sizes', () => {
  const cost = lineThrough({ bytes: 300, value: 8 }, { bytes: 3000, value: 17 });
  expect(costOf(cost, 300)).toBeCloseTo(8);
  expect(costOf(cost, 3000)).toBeCloseTo(17);
  expect(costOf(cost, 1200)).toBeCloseTo(11);
});

test('costs: a measurement that says less for the larger size makes no line that falls', () => {
  expect(lineThrough({ bytes: 300, value: 8 }, { bytes: 3000, value: 7 })).toEqual({
    base: 8,
    perKib: 0,
  });
});

test('costs: a part that was measured higher than the whole leaves nothing, and not less', () => {
  const cost = { base: 10, perKib: 2 };
  expect(without(cost, { base: 4, perKib: 1 }, { base: 7, perKib: 0 })).toEqual({
    base: 0,
    perKib: 1,
  });
});
