import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.ts';

/* `npm run test:mutations` takes minutes; that none of them has lost its place takes none. */

const SOURCES = new URL('../../services/gateway/src/', import.meta.url);

test.each(MUTATIONS)('mutation: $mistake: its place in $file is there, once', ({ file, text }) => {
  expect(readFileSync(new URL(file, SOURCES), 'utf8').split(text)).toHaveLength(2);
});
