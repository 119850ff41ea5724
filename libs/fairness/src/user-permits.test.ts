import { expect, test } from 'vitest';
import { UserPermits } from './user-permits.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function create() {
  const permits = new UserPermits({ max: 4, perUserMax: 2, nowMs: () => performance.now() });
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const apply = (user: string, signal = new AbortController().signal) =>
    permits
      .use({ flow: { user, connection: {} }, signal }, () => {
        begun.push(user);
        return new Promise<void>((resolve) => ends.push(resolve));
      })
      .catch(() => undefined);
  return { permits, begun, ends, apply };
}

test('user permits: a user with much work: has its part, and another one begins at once', async () => {
  const { permits, begun, ends, apply } = create();
  const all = Array.from({ length: 6 }, () => apply('greedy'));
  await turn();
  expect(begun).toEqual(['greedy', 'greedy']);
  expect(permits).toMatchObject({ used: 2, waiting: 4 });
  all.push(apply('modest'));
  await turn();
  expect(begun).toEqual(['greedy', 'greedy', 'modest']);
  for (let n = 0; n < 7; n++) {
    ends[n]?.();
    await turn();
    await turn();
  }
  await Promise.all(all);
  expect(begun.filter((user) => user === 'greedy')).toHaveLength(6);
  expect(permits).toMatchObject({ used: 0, waiting: 0 });
});

test('user permits: all in use by several users: who comes waits, and leaves when nobody wants the result', async () => {
  const { permits, begun, ends, apply } = create();
  const all = ['a', 'a', 'b', 'b', 'c'].map((user) => apply(user));
  const leaving = new AbortController();
  all.push(apply('d', leaving.signal));
  await turn();
  expect(begun).toEqual(['a', 'a', 'b', 'b']);
  leaving.abort();
  ends[0]?.();
  await turn();
  await turn();
  expect(begun.at(-1)).toBe('c');
  for (const end of ends) end();
  await Promise.all(all);
  expect(begun).not.toContain('d');
  expect(permits).toMatchObject({ used: 0, waiting: 0 });
});
