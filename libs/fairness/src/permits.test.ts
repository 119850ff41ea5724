import { describe, expect, test } from 'vitest';
import { type Applicant, Permits } from './permits.ts';

interface Read {
  readonly name: string;
  readonly done: Promise<string>;
  readonly leave: () => void;
  /** Lets the read end, where it has begun. */
  readonly end: () => void;
  readonly isBegun: () => boolean;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Applies for a permit for a read that ends when the test says so. */
function apply(permits: Permits, name: string, user = name): Read {
  const leaving = new AbortController();
  const applicant: Applicant = { flow: { user, connection: {} }, signal: leaving.signal };
  const state = { begun: false, end: () => {} };
  const done = permits.use(applicant, () => {
    state.begun = true;
    return new Promise<string>((resolve) => {
      state.end = () => resolve(name);
    });
  });
  return {
    name,
    done: done.catch(({ message }: Error) => message),
    leave: () => leaving.abort(new Error('left')),
    end: () => state.end(),
    isBegun: () => state.begun,
  };
}

function begun(reads: readonly Read[]): string[] {
  return reads.filter(({ isBegun }) => isBegun()).map(({ name }) => name);
}

describe('permits', () => {
  test('all used: further reads wait, and each gets the permit of one that ended', async () => {
    const permits = new Permits({ max: 2, nowMs: () => performance.now() });
    const reads = ['a', 'b', 'c', 'd'].map((name) => apply(permits, name));
    await turn();
    expect(begun(reads)).toEqual(['a', 'b']);
    expect(permits).toMatchObject({ used: 2, waiting: 2 });
    reads[0]?.end();
    await turn();
    expect(begun(reads)).toEqual(['a', 'b', 'c']);
    for (const read of [...reads, ...reads]) {
      read.end();
      await turn();
    }
    expect(permits).toMatchObject({ used: 0, waiting: 0 });
  });

  test('given up while it waits: leaves the queue and never begins', async () => {
    const permits = new Permits({ max: 1, nowMs: () => performance.now() });
    const [first, second, third] = ['a', 'b', 'c'].map((name) => apply(permits, name));
    second?.leave();
    expect(await second?.done).toBe('left');
    first?.end();
    await turn();
    expect([second?.isBegun(), third?.isBegun()]).toEqual([false, true]);
    third?.end();
    await turn();
    expect(permits).toMatchObject({ used: 0, waiting: 0 });
  });

  test('given up while it runs: the permit is free at once, for as many as there are permits', async () => {
    const permits = new Permits({ max: 2, nowMs: () => performance.now() });
    const reads = Array.from({ length: 7 }, (_, index) => apply(permits, String(index)));
    for (const read of reads.slice(0, 6)) {
      await turn();
      read.leave();
      expect(await read.done).toBe('left');
    }
    await turn();
    // 0 and 1 were given up beside the permits, 2 and 3 keep theirs until they end.
    expect(begun(reads)).toEqual(['0', '1', '2', '3']);
    reads[2]?.end();
    await turn();
    expect(begun(reads)).toEqual(['0', '1', '2', '3', '6']);
    for (const read of reads) read.end();
    await turn();
    expect(permits).toMatchObject({ used: 0, waiting: 0 });
  });

  test('a user with much work on many connections: the others come between', async () => {
    let nowMs = 0;
    const permits = new Permits({ max: 1, nowMs: () => nowMs });
    const all = [0, 1, 2, 3, 4].map((index) => apply(permits, `greedy ${index}`, 'greedy'));
    all.push(apply(permits, 'modest'));
    const order = await inOrder(all, () => {
      nowMs += 10;
    });
    expect(order.indexOf('modest')).toBeLessThanOrEqual(2);
  });

  test('a user whose work takes long: pays with its share for the time', async () => {
    let nowMs = 0;
    const permits = new Permits({ max: 1, nowMs: () => nowMs });
    const slow = [0, 1, 2].map((index) => apply(permits, `slow ${index}`, 'slow'));
    const quick = [0, 1, 2, 3, 4, 5].map((index) => apply(permits, `quick ${index}`, 'quick'));
    const order = await inOrder([...slow, ...quick], (name) => {
      nowMs += name.startsWith('slow') ? 50 : 10;
    });
    // 50 ms are five quanta: the first was its own, and four go to the other.
    expect(order.indexOf('slow 1')).toBe(5);
  });
});

/** Lets the work end, one after the other, and gives the order in which it did. */
async function inOrder(all: readonly Read[], before = (_name: string) => {}): Promise<string[]> {
  const order: string[] = [];
  for (const { done } of all) void done.then((name) => order.push(name));
  while (order.length < all.length) {
    await turn();
    const running = all.find(({ name, isBegun }) => isBegun() && !order.includes(name));
    before(running?.name ?? '');
    running?.end();
    await turn();
  }
  return order;
}
