import fc from 'fast-check';
import { test } from 'vitest';
import { compare, settle } from './compare.ts';
import { perform } from './perform.ts';
import { step } from './steps.ts';
import { World } from './world.ts';

/*
 * Several devices, two replay services with archives of their own, and a client that counts by itself, over one log
 * whose begin the stream drops and of which operators erase parts. After each step, what each of them says of the inbox equals what a plain recount of the
 * log up to its own position says. Sets stand for marks there, and nothing of the code under test is used.
 *
 * `INBOX_RUNS=5000 npx vitest run --project unit inbox-model` makes a large run; a failure prints its seed.
 */

const RUNS = Number(process.env.INBOX_RUNS ?? 60);

test('inboxes: several devices, two archives, retention, erasures, rebuilds and live counts: none drifts from a recount', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
      const world = new World();
      try {
        for (const [index, one] of steps.entries()) {
          await perform(world, one);
          await compare(world, index);
        }
        await settle(world);
      } finally {
        world.close();
      }
    }),
    { numRuns: RUNS, endOnFailure: RUNS > 100 },
  );
}, 3_600_000);
