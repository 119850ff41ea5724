import { afterAll, beforeAll, test } from 'vitest';
import { type System, startSystem } from '../support/system.ts';
import { FUZZ_ENV, fuzz } from './surface.ts';
import { SURFACES } from './surfaces.ts';

/* `npm run fuzz` (run.mjs): any number of inputs. */

const { FUZZ_SURFACE = '', FUZZ_COUNT = '100000', FUZZ_SEED } = process.env;
const count = Number(FUZZ_COUNT);
const seed = FUZZ_SEED ? Number(FUZZ_SEED) : Date.now() % 2 ** 31;
const chosen = Object.entries(SURFACES).filter(([name]) => !FUZZ_SURFACE || name === FUZZ_SURFACE);

/** Time between two lines of progress. A run takes minutes. */
const PROGRESS_MS = 10_000;

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: FUZZ_ENV });
});
afterAll(() => system.stop());

test.each(chosen)('%s', { timeout: 24 * 3600 * 1000 }, async (name, surface) => {
  console.log(`${name}: ${count} inputs, --seed ${seed}`);
  const startMs = performance.now();
  const onProgress = progressOf(name);
  const outcomes = await fuzz(surface, { count, seed, system, onProgress });
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(`${name}: nothing broke in ${seconds} s`);
  console.table(outcomes);
});

function progressOf(name: string): (done: number) => void {
  let toldMs = performance.now();
  return (done) => {
    if (performance.now() - toldMs < PROGRESS_MS) return;
    toldMs = performance.now();
    console.log(`${name}: ${done} of ${count}`);
  };
}
