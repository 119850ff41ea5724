import { expect, test } from 'vitest';
import type { CloudEvent } from '../../api/types.ts';
import { EntryList, isSkipped } from './entry-list.ts';

const event = (id: string): CloudEvent => ({
  specversion: '1.0',
  id,
  source: '/',
  type: 't',
  topic: 'a',
});

test('an event that arrives before its answer counts once, and as live', () => {
  const list = new EntryList();
  list.sent('1', 100);
  list.came('e-5', event('1'), { how: 'live', atMs: 103 });
  list.stored('e-5', event('1'));
  expect(list.entries()).toMatchObject([{ cursor: 'e-5', how: 'live', tookMs: 3 }]);
});

test('what was missed is caught up, once, and stays in the order of the log', () => {
  const list = new EntryList();
  list.stored('e-12', event('2'));
  list.stored('e-9', event('1'));
  expect(list.entries().map(({ how }) => how)).toEqual([undefined, undefined]);
  list.came('e-9', event('1'), { how: 'catch-up', atMs: 5 });
  list.came('e-9', event('1'), { how: 'live', atMs: 6 });
  expect(list.entries()).toMatchObject([
    { cursor: 'e-9', how: 'catch-up', tookMs: undefined },
    { cursor: 'e-12', how: undefined },
  ]);
});

test('the list is bounded', () => {
  const list = new EntryList();
  for (let n = 1; n <= 1000; n++) list.stored(`e-${n}`, event(String(n)));
  expect(list.entries()).toHaveLength(300);
  expect(list.entries().at(-1)?.cursor).toBe('e-1000');
});

test('what the position has passed without an event was skipped', () => {
  const list = new EntryList();
  list.stored('e-9', event('1'));
  const [entry] = list.entries();
  expect(entry && [8, 9, undefined].map((position) => isSkipped(entry, position))).toEqual([
    ...[false, true, false],
  ]);
});
