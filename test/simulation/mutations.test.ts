import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.ts';

/* `npm run test:mutations` takes minutes. This only checks that each mutation still finds its text. */

const SOURCES = new URL('../../services/gateway/src/', import.meta.url);

test.each(MUTATIONS)('mutation: $mistake: its text is in $file, once', ({ file, text }) => {
  expect(readFileSync(new URL(file, SOURCES), 'utf8').split(text)).toHaveLength(2);
});
