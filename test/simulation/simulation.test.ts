import { describe, expect, test } from 'vitest';
import { simulate } from './simulation.ts';

/** `npm run test:sim -- --seeds 1..2000` runs more; a failing seed is repeated by `--seed`. */
const SEEDS = 300;
const STEPS = 700;

async function traceOf(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ seed, steps: 300, trace: (line) => void lines.push(line) });
  return lines;
}

describe('simulation', () => {
  test(`gateway: ${SEEDS} worlds that do their worst: every promise is kept`, async () => {
    let received = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await simulate({ seed, steps: STEPS });
      const repeat = `npm run test:sim -- --seed ${seed} --steps ${STEPS}`;
      expect(outcome.failure, repeat).toBeUndefined();
      received += outcome.received;
    }
    // Worlds in which nothing arrives would keep every promise too.
    expect(received).toBeGreaterThan(SEEDS * 100);
  });

  test('world: the same seed twice: the same run, step by step', async () => {
    const first = await traceOf(7);
    expect(first.length).toBeGreaterThan(100);
    expect(await traceOf(7)).toEqual(first);
  });

  test('world: another seed: another run', async () => {
    expect(await traceOf(7)).not.toEqual(await traceOf(8));
  });
});
