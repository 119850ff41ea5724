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
function apply(permits: Permits, name: string, owner: object = {}): Read {
  const leaving = new AbortController();
  const applicant: Applicant = { owner, signal: leaving.signal };
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
    const permits = new Permits(2);
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
    const permits = new Permits(1);
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
    const permits = new Permits(2);
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

  test('an owner with many reads: the others take turns with it', async () => {
    const permits = new Permits(1);
    const [greedy, modest] = [{}, {}];
    const all = [0, 1, 2, 3, 4].map((index) => apply(permits, `greedy ${index}`, greedy));
    all.push(apply(permits, 'modest', modest));
    const order: string[] = [];
    for (const read of all) void read.done.then((name) => order.push(name));
    while (order.length < all.length) {
      for (const read of all) read.end();
      await turn();
    }
    expect(order.indexOf('modest')).toBe(2);
  });
});
