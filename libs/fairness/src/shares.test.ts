import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Shares } from './shares.ts';

/** Takes one at a time until it gets no more. */
function takeAll(shares: Shares, user: string): number {
  let count = 0;
  while (shares.take(user, 1) === undefined) count++;
  return count;
}

describe('shares', () => {
  test('users who take what they can: each leaves as much as it has', () => {
    const shares = new Shares({ max: 120 });
    expect(takeAll(shares, 'a')).toBe(60);
    expect(takeAll(shares, 'b')).toBe(30);
    expect(takeAll(shares, 'c')).toBe(15);
    expect(shares.take('newcomer', 15)).toBeUndefined();
    expect(shares.take('newcomer', 1)).toBe('all');
  });

  test('the maximum of a user holds as well', () => {
    const shares = new Shares({ max: 100, perUserMax: 4 });
    expect(takeAll(shares, 'a')).toBe(4);
    expect(shares.take('a', 1)).toBe('user');
    shares.give('a', 1);
    expect(shares.take('a', 1)).toBeUndefined();
  });

  test('what is given back is there again', () => {
    const shares = new Shares({ max: 10 });
    shares.take('a', 4);
    shares.give('a', 4);
    expect(shares.total).toBe(0);
    expect(shares.take('b', 10)).toBeUndefined();
  });

  test('property: never more than all, and greedy users leave a part for the next one', () => {
    const step = fc.record({
      user: fc.integer({ min: 0, max: 3 }),
      count: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const shares = new Shares({ max: 1000 });
        for (const { user, count } of steps) shares.take(String(user), count);
        // Four users, each at most as much as is then left, in pieces of 40 at most.
        expect(shares.total).toBeLessThanOrEqual(1000);
        expect(shares.take('newcomer', 20)).toBeUndefined();
      }),
    );
  });
});
