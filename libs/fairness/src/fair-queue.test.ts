import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue, type Flow } from './fair-queue.ts';

const QUANTUM = 10;

function flow(user: string, connection: object = {}): Flow {
  return { user, connection };
}

/** Takes everything, each at its cost, and gives the order. */
function drain(queue: FairQueue<string>, costOf: (item: string) => number, most = 1000): string[] {
  const order: string[] = [];
  for (let next = queue.take(); next; next = order.length < most ? queue.take() : undefined) {
    order.push(next.item);
    queue.charge(next.flow, costOf(next.item));
  }
  return order;
}

describe('fair queue', () => {
  test('one connection: in order', () => {
    const queue = new FairQueue<string>(QUANTUM);
    const one = flow('a');
    for (const item of ['1', '2', '3']) queue.add(item, one);
    expect(drain(queue, () => 100)).toEqual(['1', '2', '3']);
    expect(queue.size).toBe(0);
  });

  test('a user with a thousand items on a hundred connections: delays another one by a quantum', () => {
    const queue = new FairQueue<string>(QUANTUM);
    const connections = Array.from({ length: 100 }, () => flow('greedy'));
    for (let n = 0; n < 1000; n++) queue.add('greedy', connections[n % 100] as Flow);
    queue.add('modest', flow('modest'));
    expect(drain(queue, () => 1).indexOf('modest')).toBe(QUANTUM);
  });

  test('the connections of one user share like users', () => {
    const queue = new FairQueue<string>(QUANTUM);
    const [busy, quiet] = [flow('a'), flow('a')];
    for (let n = 0; n < 100; n++) queue.add('busy', busy);
    queue.add('quiet', quiet);
    expect(drain(queue, () => 1).indexOf('quiet')).toBe(QUANTUM);
  });

  test('a debt outlasts an empty queue of its user while others wait', () => {
    const queue = new FairQueue<string>(QUANTUM);
    const [costly, cheap] = [flow('costly'), flow('cheap')];
    queue.add('costly', costly);
    for (let n = 0; n < 100; n++) queue.add('cheap', cheap);
    expect(drain(queue, () => 5 * QUANTUM, 1)).toEqual(['costly']);
    queue.add('costly', costly);
    // The others first get what the first item cost, less the quantum that everybody has.
    expect(drain(queue, () => 1).indexOf('costly')).toBe(4 * QUANTUM + QUANTUM);
  });

  test('what is removed is not taken, and leaves nothing behind', () => {
    const queue = new FairQueue<string>(QUANTUM);
    const [a, b] = [flow('a'), flow('b')];
    queue.add('1', a);
    queue.add('2', b);
    expect(queue.remove('1', a)).toBe(true);
    expect(queue.remove('1', a)).toBe(false);
    expect(drain(queue, () => 1)).toEqual(['2']);
    expect(queue.take()).toBeUndefined();
  });

  test('property: users that wait all the time get the same, up to a quantum and the costliest item', () => {
    const costs = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 20, maxLength: 200 });
    fc.assert(
      fc.property(fc.array(costs, { minLength: 2, maxLength: 5 }), (users) => {
        const queue = new FairQueue<{ user: number; cost: number }>(QUANTUM);
        users.forEach((items, user) => {
          const connections = [flow(String(user)), flow(String(user))];
          items.forEach((cost, n) => {
            queue.add({ user, cost }, connections[n % 2] as Flow);
          });
        });
        const spent = users.map(() => 0);
        const left = users.map(({ length }) => length);
        while (left.every((count) => count > 0)) {
          const next = queue.take();
          if (!next) throw new Error('The queue is empty too early.');
          const { user, cost } = next.item;
          queue.charge(next.flow, cost);
          spent[user] = (spent[user] ?? 0) + cost;
          left[user] = (left[user] ?? 0) - 1;
        }
        expect(Math.max(...spent) - Math.min(...spent)).toBeLessThanOrEqual(2 * (QUANTUM + 50));
      }),
    );
  });
});
