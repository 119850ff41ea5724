import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { partOf } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

/* `npm run test:mutations` takes minutes. This only checks that each mutation still finds its text. */

const ROOT = new URL('../../', import.meta.url);

test.each(MUTATIONS)('mutation: $mistake: its text is in $file, once', (mutation) => {
  const source = new URL(`${partOf(mutation)}/src/${mutation.file}`, ROOT);
  expect(readFileSync(source, 'utf8').split(mutation.text)).toHaveLength(2);
});
