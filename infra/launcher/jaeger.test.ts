import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findJaeger } from './jaeger.mjs';

const REAL = process.env.TIDEMARK_JAEGER_BIN;
const empty = mkdtempSync(join(tmpdir(), 'tidemark-jaeger-'));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

/** An environment without programs and without a cache. */
const bare = { PATH: empty, XDG_CACHE_HOME: empty };

test('jaeger: none on the PATH or in the cache: none is found', async () => {
  expect(await findJaeger(bare)).toBeUndefined();
});

test('jaeger: TIDEMARK_JAEGER_BIN is something else: a sentence that says so', async () => {
  const environment = { ...bare, TIDEMARK_JAEGER_BIN: process.execPath };
  await expect(findJaeger(environment)).rejects.toThrow(
    `TIDEMARK_JAEGER_BIN=${process.execPath} is not a Jaeger`,
  );
});

test.skipIf(REAL === undefined)(
  'jaeger: named by TIDEMARK_JAEGER_BIN (needs Jaeger): is taken',
  async () => {
    expect(await findJaeger({ ...bare, TIDEMARK_JAEGER_BIN: REAL })).toBe(REAL);
  },
);
