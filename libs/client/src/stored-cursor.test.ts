import { expect, test } from 'vitest';
import { systemEnvironment } from './environment.ts';
import { isForward, StoredCursor } from './stored-cursor.ts';

/** What each tab may do to what is stored. */
test.each([
  ['further on', 'log-12', 'log-10', 'log-9', true],
  ['further back', 'log-9', 'log-10', 'log-8', false],
  [
    'in the epoch that it has just come to, with a lower sequence',
    'log.2-5',
    'log-10',
    'log-9',
    true,
  ],
  ['still in the epoch that another tab has left', 'log-11', 'log.2-5', 'log-9', false],
  ['at its first write, with another epoch', 'log.2-5', 'log-10', undefined, true],
])('store: tab that is %s', (_where, next, stored, mine, may) => {
  expect(isForward(next, stored, mine)).toBe(may);
});

test('store that fails: is tried again with the next cursor', async () => {
  const stored: string[] = [];
  let failures = 1;
  const store = {
    get: () => stored.at(-1),
    set: async (_key: string, cursor: string) => {
      if (failures-- > 0) throw new Error('full');
      stored.push(cursor);
    },
  };
  const cursor = new StoredCursor('key', store, systemEnvironment());
  cursor.advance('log-1');
  cursor.flush();
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(stored).toEqual([]);
  cursor.advance('log-2');
  cursor.flush();
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(stored).toEqual(['log-2']);
});
