import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDockerfile, substitute } from './dockerfile.mjs';

/** What `build.mjs` carries out. */
const KNOWN = ['ARG', 'CMD', 'COPY', 'ENV', 'FROM', 'HEALTHCHECK', 'RUN', 'USER', 'WORKDIR'];

test('Dockerfile as it is shipped: each instruction: is one that can be carried out by hand', () => {
  const text = readFileSync(new URL('../Dockerfile', import.meta.url), 'utf8');
  const names = parseDockerfile(text).map(({ name }) => name);
  expect([...new Set(names)].sort()).toEqual(KNOWN);
});

test('instructions: comments, continued lines: left out, joined', () => {
  const text = '# why\nRUN one \\\n  && two\n\nUSER node\n';
  expect(parseDockerfile(text)).toEqual([
    { name: 'RUN', text: 'one && two' },
    { name: 'USER', text: 'node' },
  ]);
});

test('variables: known, unknown: their value, nothing', () => {
  expect(substitute(`/$A/$\{B}/$C`, { A: 'a', B: 'b' })).toBe('/a/b/');
});
