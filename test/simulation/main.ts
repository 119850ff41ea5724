import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

const USAGE = `npm run test:sim -- [--seeds A..B] [--steps M] [--keep-going]   runs many seeds
npm run test:sim -- --seed N [--steps M] [--lines L]             repeats one exactly

  --seeds       which runs (1..500)
  --steps       what happens in each, in steps (2000)
  --keep-going  goes on after a failure
  --seed        one run; where it fails, the last lines of what led to it are shown
  --lines       how many of them (200)`;

const OPTIONS = {
  seed: { type: 'string' },
  seeds: { type: 'string', default: '1..500' },
  steps: { type: 'string', default: '2000' },
  lines: { type: 'string', default: '200' },
  'keep-going': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function readOptions() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    const [first = '', last = first] = (values.seed ?? values.seeds).split('..');
    const numbers = [first, last, values.steps, values.lines].map(Number);
    if (numbers.every((number) => Number.isInteger(number) && number >= 0)) return values;
    throw new Error('Seeds, steps and lines are whole numbers.');
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const values = readOptions();
const steps = Number(values.steps);
if (values.help) console.log(USAGE);
else if (values.seed === undefined) await runMany(values.seeds);
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
  let appends = 0;
  let delivering = 0;
  let failures = 0;
  for (let seed = first; seed <= last; seed++) {
    const { failure, received, appended } = await simulate({ seed, steps });
    events += received;
    appends += appended;
    if (received > 0) delivering++;
    if (!failure) continue;
    failures++;
    process.exitCode = 1;
    console.log(`seed ${seed}: ${failure.message}`);
    if (!values['keep-going']) break;
  }
  const seconds = (performance.now() - startMs) / 1000;
  const count = last - first + 1;
  console.log(
    `${count} seeds, ${failures} failures, ${delivering} worlds that delivered events, ${events} events received, ${appends} conditional appends, ${(count / seconds).toFixed(1)} seeds a second`,
  );
}
