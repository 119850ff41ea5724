import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.ts';

/* `npm run test:mutations` takes minutes. This only checks that each mutation still finds its text. */

const ROOT = new URL('../../', import.meta.url);

test.each(MUTATIONS)('mutation: $mistake: its text is in $file, once', ({ file, text, part }) => {
  const source = new URL(`${part ?? 'services/gateway'}/src/${file}`, ROOT);
  expect(readFileSync(source, 'utf8').split(text)).toHaveLength(2);
});
