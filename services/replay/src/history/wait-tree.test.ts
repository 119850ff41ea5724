import { matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WaitTree } from './wait-tree.ts';

const token = fc.constantFrom('a', 'b', 'c');
const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(
    fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 3 }),
    fc.constantFrom('a', '*', '>'),
  )
  .map(([tokens, last]) => [...tokens, last].join('.'));

test('wait tree: any patterns, some of them removed again: those that match, each once', () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 20 }),
      fc.array(pattern, { maxLength: 20 }),
      topic,
      (kept, removed, name) => {
        const tree = new WaitTree<string>();
        const all = [
          ...kept.map((one) => [one, `k ${one}`]),
          ...removed.map((one) => [one, `r ${one}`]),
        ];
        for (const [one = '', value = ''] of all) tree.add(one, value);
        for (const one of removed) tree.delete(one, `r ${one}`);
        const found = new Set<string>();
        tree.collect(name, found);
        const right = kept.filter((one) => matches(one, name)).map((one) => `k ${one}`);
        expect(found).toEqual(new Set(right));
      },
    ),
  );
});

test('wait tree: 100,000 patterns: an event costs some microseconds', () => {
  const tree = new WaitTree<number>();
  for (let n = 0; n < 100_000; n++) tree.add(`*.user${n}.*.*`, n);
  const found = new Set<number>();
  const start = process.cpuUsage();
  for (let n = 0; n < 10_000; n++) tree.collect(`a.user${n}.b.c`, found);
  const { user, system } = process.cpuUsage(start);
  expect(found.size).toBe(10_000);
  // 10 ms in all; comparing each pattern would take a minute.
  expect((user + system) / 1000).toBeLessThan(500);
});
