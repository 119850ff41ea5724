import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const text = readFileSync(fileURLToPath(new URL('SECURITY.md', ROOT)), 'utf8');
const rows = [...text.matchAll(/^\| (.+) \| (.+) \| `([^`]+\.test\.ts)`: (.+) \|$/gm)];

test('threat model: there are rows', () => {
  expect(rows.length).toBeGreaterThan(30);
});

test.each(rows.map(([, threat, , file, name]) => [threat, file, name]))(
  'threat: %s: has its test',
  (_, file = '', name = '') => {
    const source = readFileSync(fileURLToPath(new URL(file, ROOT)), 'utf8').replaceAll('\\', '');
    expect(source).toContain(name);
  },
);
