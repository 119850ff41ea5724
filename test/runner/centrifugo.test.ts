import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findCentrifugo, provideCentrifugo } from './centrifugo.mjs';

const empty = mkdtempSync(join(tmpdir(), 'tidemark-centrifugo-'));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

/** An environment without programs and without a cache. */
const bare = { PATH: empty, XDG_CACHE_HOME: empty };

test('centrifugo: none on the PATH or in the cache, and no Go: says what is missing', async () => {
  const said: string[] = [];
  expect(await provideCentrifugo(bare, (text: string) => said.push(text))).toBeUndefined();
  expect(said.join()).toContain('no Go to build one');
});

test('centrifugo: TIDEMARK_CENTRIFUGO_BIN is something else: a sentence that says so', async () => {
  const environment = { ...bare, TIDEMARK_CENTRIFUGO_BIN: process.execPath };
  await expect(findCentrifugo(environment)).rejects.toThrow(
    `TIDEMARK_CENTRIFUGO_BIN=${process.execPath} is not a Centrifugo`,
  );
});
