import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withCosts } from './document.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

test('CAPACITY.md: has the tables of the published costs, and the plans that follow from them', () => {
  const document = read('../../../infra/CAPACITY.md');
  const costs = JSON.parse(read('../published-costs.json'));
  expect(costs.quick).toBe(false);
  expect(withCosts(document, costs)).toBe(document);
});

test('CAPACITY.md: a document without the places of the tables is refused', () => {
  expect(() => withCosts('', JSON.parse(read('../published-costs.json')))).toThrow(
    'The document has no part costs.',
  );
});
