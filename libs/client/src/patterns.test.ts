import { expect, test } from 'vitest';
import { topicMatcher, typeMatcher } from './patterns.ts';

test.each([
  ['orders.*', 'orders.42', true],
  ['orders.*', 'orders.42.items', false],
  ['orders.*', 'orders', false],
  ['orders.>', 'orders.42.items', true],
  ['orders.>', 'orders', false],
  ['>', 'a', true],
  ['*.b.>', 'a.b.c', true],
  ['*.b.>', 'a.c.c', false],
  ['a', 'A', false],
])('pattern %s: topic %s: %s', (pattern, topic, matches) => {
  expect(topicMatcher(['x.y', pattern])(topic)).toBe(matches);
});

test.each([
  [['order.paid'], 'order.paid', true],
  [['order.paid'], 'order.paid2', false],
  [['order.*'], 'order.paid', true],
  [['order.*'], 'order', false],
  [['*'], 'anything', true],
  [undefined, 'anything', true],
])('types %s: type %s: %s', (types, type, matches) => {
  expect(typeMatcher(types)(type)).toBe(matches);
});
