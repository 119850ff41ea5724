import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gathered, Sums } from './counts.ts';
import type { Counted } from './messages.ts';

test('sums: what is given back takes no memory, and the changes of one take away what it added', () => {
  const all = new Sums();
  const one = new Sums();
  for (const sums of [all, one]) {
    sums.add('users', 'alice', 2);
    sums.add('users', 'bob', 1);
    sums.add('users', 'bob', -1);
  }
  all.add('users', 'alice', 3);
  expect(one.changes()).toEqual([['users', 'alice', 2]]);
  all.addAll(one.changes(-1));
  expect(all.get('users', 'alice')).toBe(3);
  expect(all.get('users', 'nobody')).toBe(0);
});

test('gathered: what is counted within the delay is one message, and nothing is none', async () => {
  const sent: Counted[] = [];
  const gathered = new Gathered(5, (counted) => sent.push(counted));
  gathered.addHeld('users', 'alice', 1);
  gathered.addUsed('rate', 'alice', 2);
  gathered.addUsed('rate', 'alice', 2);
  gathered.addHeld('users', 'bob', 1);
  gathered.addHeld('users', 'bob', -1);
  await sleep(30);
  gathered.addHeld('users', 'bob', 1);
  gathered.addHeld('users', 'bob', -1);
  await sleep(30);
  expect(sent).toEqual([{ held: [['users', 'alice', 1]], used: [['rate', 'alice', 4]] }]);
});
