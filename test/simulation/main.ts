import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

/*
 * `npm run test:sim -- --seed 7 --steps 2000` repeats one run and shows what led to its failure;
 * `--seeds 1..2000` runs many.
 */

const TRACE_LINES = 200;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1..500' },
    steps: { type: 'string', default: '2000' },
    lines: { type: 'string', default: String(TRACE_LINES) },
    'keep-going': { type: 'boolean', default: false },
  },
});

const steps = Number(values.steps);
if (values.seed === undefined) await runMany(values.seeds);
else await runOne(Number(values.seed));

async function runOne(seed: number): Promise<void> {
  const lines: string[] = [];
  const { failure, received } = await simulate({
    seed,
    steps,
    trace: (line) => {
      lines.push(line);
    },
  });
  const shown = failure ? lines.slice(-Number(values.lines)) : [];
  for (const line of shown) console.log(line);
  if (failure) {
    console.log(failure.stack);
    process.exitCode = 1;
  }
  console.log(
    `seed ${seed}, ${steps} steps: ${failure?.message ?? 'no failure'}, ${received} events received`,
  );
}

async function runMany(range: string): Promise<void> {
  const [first = 1, last = first] = range.split('..').map(Number);
  const startMs = performance.now();
  let events = 0;
  let failures = 0;
  for (let seed = first; seed <= last; seed++) {
    const { failure, received } = await simulate({ seed, steps });
    events += received;
    if (!failure) continue;
    failures++;
    process.exitCode = 1;
    console.log(`seed ${seed}: ${failure.message}`);
    if (!values['keep-going']) break;
  }
  const seconds = (performance.now() - startMs) / 1000;
  const count = last - first + 1;
  console.log(
    `${count} seeds, ${failures} failures, ${events} events received, ${(count / seconds).toFixed(1)} seeds a second`,
  );
}
