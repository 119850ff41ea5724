import { describe, expect, test } from 'vitest';
import { simulate } from './simulation.ts';

/** `npm run test:sim -- --seeds 1..2000` runs more; `--seed` repeats a failing seed. */
const SEEDS_PER_TEST = 50;
const FIRST_SEEDS = [1, 51, 101, 151, 201, 251];
const STEPS = 1200;

async function traceOf(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ seed, steps: 300, trace: (line) => void lines.push(line) });
  return lines;
}

describe('simulation', () => {
  test.each(FIRST_SEEDS)(
    'gateway: worlds that do their worst, from %i on: every promise is kept',
    async (first) => {
      let received = 0;
      let appended = 0;
      let delivering = 0;
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
        const outcome = await simulate({ seed, steps: STEPS });
        const repeat = `npm run test:sim -- --seed ${seed} --steps ${STEPS}`;
        expect(outcome.failure, repeat).toBeUndefined();
        received += outcome.received;
        appended += outcome.appended;
        if (outcome.received > 0) delivering++;
      }
      // Worlds in which nothing arrives would keep every promise too.
      expect(delivering).toBeGreaterThanOrEqual(SEEDS_PER_TEST - 2);
      expect(received).toBeGreaterThan(SEEDS_PER_TEST * 100);
      expect(appended).toBeGreaterThan(SEEDS_PER_TEST / 2);
    },
  );

  test('world: the same seed twice: the same run, step by step', async () => {
    const first = await traceOf(7);
    expect(first.length).toBeGreaterThan(100);
    expect(await traceOf(7)).toEqual(first);
  });

  test('world: another seed: another run', async () => {
    expect(await traceOf(7)).not.toEqual(await traceOf(8));
  });
});
