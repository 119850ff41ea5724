import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TokenNode, TokenTree } from './token-tree.ts';

const token = fc.constantFrom('a', 'b', 'ab', '*');
const name = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
const changes = fc.array(fc.record({ name, there: fc.boolean() }), { maxLength: 60 });

function count<V>(node: TokenNode<V>): number {
  return [...(node.children?.values() ?? [])].reduce((sum, child) => sum + count(child), 1);
}

/** Builds a tree and a model of it by the same changes. */
function build(script: readonly { name: string; there: boolean }[]) {
  const tree = new TokenTree<string>();
  const model = new Set<string>();
  for (const change of script) {
    if (change.there) tree.set(change.name, `value of ${change.name}`);
    else tree.delete(change.name);
    if (change.there) model.add(change.name);
    else model.delete(change.name);
  }
  return { tree, model };
}

describe('token tree', () => {
  test('get: any names set and deleted: those that are there, and no other', () => {
    fc.assert(
      fc.property(changes, fc.array(name), (script, others) => {
        const { tree, model } = build(script);
        for (const one of [...model, ...others]) {
          expect(tree.get(one), one).toBe(model.has(one) ? `value of ${one}` : undefined);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('nodes: any names set and deleted: at most two for each name, beside the root', () => {
    fc.assert(
      fc.property(changes, (script) => {
        const { tree, model } = build(script);
        expect(count(tree.root)).toBeLessThanOrEqual(Math.max(2 * model.size, 1));
        for (const one of model) tree.delete(one);
        expect(tree.root.children).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });
});
