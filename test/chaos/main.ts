import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runBrokenBuild } from './broken-build.ts';
import { runChaos } from './chaos.ts';

const HELP = `npm run test:chaos -- [--seed 1] [--minutes 2] [--nats 3] [--clients 100] [--folder data/chaos]
                     [--patience 1] [--mutation "tells no gap"]

Runs the whole system under load, lets the faults of a seeded plan happen, and compares everything that
clients saw with what the stream and the archives hold at the end. With --seed 1..20 each of these seeds runs
for that long; --nats 1,3 runs each with one server and with three. The folder gets the history of each run.
Exit code 1: a promise was broken; the first violation is shown with its timeline. --patience 3 makes every
time bound three times as long, for slow machines. --mutation makes one of the mistakes of test/simulation in
a copy of the sources and runs that; the exit code should be 1 then.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    nats: { type: 'string', default: '3' },
    clients: { type: 'string', default: '100' },
    folder: { type: 'string', default: 'data/chaos' },
    patience: { type: 'string', default: '1' },
    mutation: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
// Each process that is started listens to the exit of this one.
process.setMaxListeners(0);
// What was started is killed when this process exits, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
if (values.help) console.log(HELP);
else if (values.mutation) process.exit(await runBroken(values.mutation));
else process.exit((await runAll()) ? 0 : 1);

/** @returns the exit code of the run in the copy */
function runBroken(mutation: string): Promise<number> {
  const { seed, minutes, nats, clients, patience, folder } = values;
  const same = { seed, minutes, nats, clients, patience, folder: resolve(folder) };
  return runBrokenBuild(
    mutation,
    Object.entries(same).flatMap(([name, value]) => [`--${name}`, value]),
  );
}

/** @returns whether every promise was kept in every run */
async function runAll(): Promise<boolean> {
  const broken: string[] = [];
  let [runs, deliveries] = [0, 0];
  for (const seed of seedsOf(values.seed)) {
    for (const nats of values.nats.split(',')) {
      const result = await runChaos({
        seed,
        durationMs: Number(values.minutes) * 60_000,
        servers: nats === '1' ? 1 : 3,
        clients: Number(values.clients),
        patience: Number(values.patience),
        folder: join(values.folder, `${nats}-${seed}`),
      });
      runs++;
      deliveries += result.deliveries;
      if (!result.isKept) broken.push(`seed ${seed} with ${nats} NATS`);
    }
  }
  if (runs > 1)
    console.log(`${runs} runs, ${deliveries} deliveries; broken: ${broken.join(', ') || 'none'}`);
  return broken.length === 0;
}

/** @param text such as `7` or `1..20` */
function seedsOf(text: string): number[] {
  const [first = Number.NaN, last = first] = text.split('..').map(Number);
  if (!Number.isInteger(first) || !Number.isInteger(last)) {
    throw new Error(`--seed ${text} is neither a number nor a range such as 1..20.`);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
