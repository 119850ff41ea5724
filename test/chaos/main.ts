import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';

const HELP = `npm run test:chaos -- [--seed 1] [--minutes 2] [--nats 3] [--clients 100] [--folder <folder>]

Runs the whole system under load, lets the faults of a seeded plan happen, and compares everything that
clients saw with what the stream and the archives hold at the end. The folder gets the history of the run.
Exit code 1: a promise was broken; the first violation is shown with its timeline.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    nats: { type: 'string', default: '3' },
    clients: { type: 'string', default: '100' },
    folder: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
} else {
  // What was started is killed when this process exits, which a signal alone would not do.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const seed = Number(values.seed);
  const isKept = await runChaos({
    seed,
    durationMs: Number(values.minutes) * 60_000,
    servers: values.nats === '1' ? 1 : 3,
    clients: Number(values.clients),
    folder: values.folder || `data/chaos/${values.nats}-${seed}`,
  });
  process.exit(isKept ? 0 : 1);
}
