import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUZZ_ENV, fuzz } from '../fuzz/surface.ts';
import { SURFACES } from '../fuzz/surfaces.ts';
import { type System, startSystem } from '../support/system.ts';

/* A few thousand inputs for each surface, another set each time; `npm run fuzz` sends more. */

const COUNTS: Readonly<Record<string, number>> = {
  parsers: 500,
  websocket: 2000,
  frames: 800,
  bodies: 600,
  queries: 600,
  headers: 600,
  requests: 600,
  nats: 2000,
};

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: FUZZ_ENV });
});
afterAll(() => system.stop());

test.each(Object.entries(SURFACES))(
  'hostile input: %s: typed errors or a close, nothing breaks',
  async (name, surface) => {
    const seed = Date.now() % 2 ** 31;
    const count = COUNTS[name] ?? 0;
    try {
      const outcomes = await fuzz(surface, { count, seed, system });
      expect(Object.keys(outcomes).length).toBeGreaterThan(3);
    } catch (error) {
      throw new Error(`npm run fuzz -- --surface ${name} --count ${count} --seed ${seed}`, {
        cause: error,
      });
    }
  },
);
