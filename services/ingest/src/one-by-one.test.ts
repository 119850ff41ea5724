import { TidemarkError } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { oneByOne } from './one-by-one.ts';

/** Appends that end when the test says so. */
function stage() {
  const begun: string[] = [];
  const ends = new Map<string, { resolve(name: string): void; reject(error: Error): void }>();
  return {
    begun,
    store: (name: string) => () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) => ends.set(name, { resolve, reject }));
    },
    end: (name: string, error?: Error) => {
      if (error) ends.get(name)?.reject(error);
      else ends.get(name)?.resolve(name);
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('ordered appends: of one topic: begin when the one before is stored, beside those of others', async () => {
  const { begun, store, end } = stage();
  const inTurn = oneByOne<string>();
  const all = Promise.all([
    inTurn('a', store('a1')),
    inTurn('a', store('a2')),
    inTurn('b', store('b1')),
    inTurn('a', store('a3')),
  ]);
  expect(begun).toEqual(['a1', 'b1']);
  await end('a1');
  expect(begun).toEqual(['a1', 'b1', 'a2']);
  for (const name of ['a2', 'b1', 'a3']) await end(name);
  expect(await all).toEqual(['a1', 'a2', 'b1', 'a3']);
});

test('ordered appends: behind one whose end is not known: fail and do not begin; other topics go on', async () => {
  const { begun, store, end } = stage();
  const inTurn = oneByOne<string>();
  const all = Promise.allSettled([
    inTurn('a', store('a1')),
    inTurn('a', store('a2')),
    inTurn('b', store('b1')),
    inTurn('a', store('a3')),
    inTurn('b', store('b2')),
  ]);
  await end('a1', new TidemarkError('unavailable', 'No answer.'));
  for (const name of ['b1', 'b2']) await end(name);
  expect((await all).map(({ status }) => status === 'fulfilled')).toEqual([
    false,
    false,
    true,
    false,
    true,
  ]);
  expect(begun).toEqual(['a1', 'b1', 'b2']);
});

test.each(['conflict', 'erased'] as const)('ordered appends: behind a %s: go on', async (code) => {
  const { begun, store, end } = stage();
  const inTurn = oneByOne<string>();
  const all = Promise.allSettled([inTurn('a', store('a1')), inTurn('a', store('a2'))]);
  await end('a1', new TidemarkError(code, 'Refused.'));
  await end('a2');
  expect(begun).toEqual(['a1', 'a2']);
  expect((await all).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
});

test('ordered appends: that take too long: end with unavailable', async () => {
  const { begun, store, end } = stage();
  const inTurn = oneByOne<string>(0);
  const all = Promise.allSettled([inTurn('a', store('a1')), inTurn('a', store('a2'))]);
  await end('a1');
  expect(await all).toMatchObject([
    { status: 'fulfilled' },
    { status: 'rejected', reason: { code: 'unavailable' } },
  ]);
  expect(begun).toEqual(['a1']);
});
