import { expect, test } from 'vitest';
import { toLocal, toTime } from './choice.ts';
import { DATA_BYTES_MAX, faultOf, seenTypes } from './new-event.ts';

const good = { topic: 'orders.1', type: 'order.paid', data: '{"total": 7}' };

test.each([
  [{}, undefined],
  [{ data: '' }, undefined],
  [{ topic: 'orders.*' }, /topic/],
  [{ topic: 'others.1' }, /may not publish/],
  [{ type: '' }, /type/],
  [{ data: '{"total": }' }, /not JSON/],
  [{ data: `"${'x'.repeat(DATA_BYTES_MAX)}"` }, /too large/],
])('an event with %j: the fault is %s', (change, expected) => {
  const fault = faultOf({ ...good, ...change }, (topic) => topic.startsWith('orders.'));
  if (expected === undefined) expect(fault).toBeUndefined();
  else expect(fault).toMatch(expected);
});

test('of each type the newest event is the example', () => {
  const item = (n: number, type: string) => ({
    cursor: `e-${n}`,
    event: { specversion: '1.0', id: String(n), source: '/', type, topic: 'a' } as const,
  });
  const types = seenTypes([item(3, 'b'), item(2, 'a'), item(1, 'b')]);
  expect([...types].map(([type, { id }]) => [type, id])).toEqual([
    ['b', '3'],
    ['a', '2'],
  ]);
});

test('a time of a field is the same after a reload', () => {
  const time = toTime('2026-01-31T12:00:05');
  expect(time).toMatch(/^2026-0[12]-\d\dT\d\d:\d\d:05.000Z$/);
  expect(toLocal(time)).toBe('2026-01-31T12:00:05');
  expect([toTime(''), toTime('x'), toLocal(undefined)]).toEqual(['', '', '']);
});
