import { expect, test } from 'vitest';
import type { CloudEvent } from '../api/types.ts';
import { hasWords, wordsOf } from './text-filter.ts';

const event: CloudEvent = {
  ...{ specversion: '1.0', id: '1', source: '/shop', type: 'order.paid', topic: 'orders.42' },
  data: { customer: 'Zoë' },
};

test.each([
  ['', true],
  ['  ', true],
  ['PAID 42', true],
  ['zoë', true],
  ['paid 43', false],
])('the words %j: in the event? %s', (text, expected) => {
  expect(hasWords(event, wordsOf(text))).toBe(expected);
});
