import { parseArgs } from 'node:util';
import type { BenchCase } from './cases/bench-case.ts';
import { cases } from './cases/index.ts';
import { ATTACKS, type Attack } from './fairness/plan.ts';

const RUNS_MAX = 99;

export interface Options {
  readonly cases: readonly BenchCase[];
  /** The attacks of the case `fairness`. */
  readonly attacks: readonly Attack[];
  readonly runs: number;
  readonly quick: boolean;
  readonly profileFolder: string | undefined;
  readonly outFile: string | undefined;
  readonly help: boolean;
}

export const USAGE = `npm run bench -- [--case NAME[,NAME]...] [--attack NAME[,NAME]...] [--runs N] [--quick] [--profile FOLDER] [--out FILE]

  --case     ${cases.map(({ name }) => name).join(', ')}; all by default
  --attack   of the case fairness: ${ATTACKS.join(', ')}; all by default
  --runs     how often each case is measured; the table shows medians (3)
  --quick    smaller cases and one run, for a look: these figures are no results
  --profile  writes CPU profiles of the measured service and shows where its time went
  --out      the JSON file (data/bench/<time>.json)
  --help     shows this

npm run bench -- peers compares Tidemark with Centrifugo and Socket.IO; npm run bench -- peers --help`;

/** @throws Error with one sentence that names the fault */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      case: { type: 'string', multiple: true, default: [] },
      attack: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      profile: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const names = values.case.flatMap((list) => list.split(','));
  const unknown = names.find((name) => !cases.some((known) => known.name === name));
  if (unknown !== undefined) throw new Error(`There is no case ${unknown}.`);
  const attacks = values.attack.flatMap((list) => list.split(','));
  const strange = attacks.find((name) => !ATTACKS.some((known) => known === name));
  if (strange !== undefined) throw new Error(`There is no attack ${strange}.`);
  const runs = Number(values.runs ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX) {
    throw new Error(`--runs ${values.runs} is no number from 1 to ${RUNS_MAX}.`);
  }
  return {
    cases: cases.filter(({ name }) => names.length === 0 || names.includes(name)),
    attacks: ATTACKS.filter((name) => attacks.length === 0 || attacks.includes(name)),
    runs,
    quick: values.quick,
    profileFolder: values.profile,
    outFile: values.out,
    help: values.help,
  };
}
