import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { provideJaeger } from './jaeger.mjs';

const empty = mkdtempSync(join(tmpdir(), 'tidemark-jaeger-'));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

/** An environment without programs and without a cache. */
const bare = { PATH: empty, XDG_CACHE_HOME: empty };

test('jaeger: none on the PATH or in the cache, and no Go: none is provided', async () => {
  const said: string[] = [];
  expect(await provideJaeger(bare, (text: string) => said.push(text))).toBeUndefined();
  expect(said).toEqual([]);
});
