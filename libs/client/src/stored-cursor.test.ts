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

/* The log may lose its end before any service gives it a new epoch: then a `future` gap leads back within the epoch. */
test.each([
  ['alone', 'log-15'],
  ['after another tab, which was further on', 'log-17'],
])('gap that leads back in the same epoch: is stored, %s', async (_who, stored) => {
  const store = new Map<string, string>();
  const cursor = new StoredCursor('key', store as never, systemEnvironment());
  cursor.advance('log-15');
  cursor.flush();
  expect(store.get('key')).toBe('log-15');
  store.set('key', stored);
  for (const next of ['log-10', 'log-11']) {
    cursor.advance(next);
    cursor.flush();
    expect(store.get('key')).toBe(next);
  }
  // From then on it gives way to other tabs again.
  store.set('key', 'log-14');
  cursor.advance('log-12');
  cursor.flush();
  expect(store.get('key')).toBe('log-14');
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
