import { parseArgs } from 'node:util';
import type { ComparisonCase } from './cases/comparison-case.ts';
import { cases } from './cases/index.ts';
import { systems } from './systems/index.ts';
import type { System } from './systems/system.ts';

const RUNS_MAX = 99;
const RUNS = 3;

export interface PeerOptions {
  readonly systems: readonly System[];
  readonly cases: readonly ComparisonCase[];
  readonly runs: number;
  readonly quick: boolean;
  readonly outFile: string | undefined;
  readonly help: boolean;
}

const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);

export const USAGE = `npm run bench -- peers [--system NAME[,NAME]...] [--case NAME[,NAME]...] [--runs N] [--quick] [--out FILE]

  --system   ${names(systems).join(', ')}; all by default
  --case     ${names(cases).join(', ')}; all by default
  --runs     how often each case is measured; the table shows medians (${RUNS})
  --quick    smaller cases and one run, for a look: these figures are no results
  --out      the JSON file (data/bench/peers-<time>.json)
  --help     shows this`;

/** @throws Error with one sentence that names the fault */
export function readPeerOptions(args: readonly string[]): PeerOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      system: { type: 'string', multiple: true, default: [] },
      case: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const runs = Number(values.runs ?? (values.quick ? 1 : RUNS));
  if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX) {
    throw new Error(`--runs ${values.runs} is no number from 1 to ${RUNS_MAX}.`);
  }
  return {
    systems: select('system', systems, values.system),
    cases: select('case', cases, values.case),
    runs,
    quick: values.quick,
    outFile: values.out,
    help: values.help,
  };
}

function select<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  lists: readonly string[],
): readonly T[] {
  const asked = lists.flatMap((list) => list.split(','));
  const unknown = asked.find((name) => !names(all).includes(name));
  if (unknown !== undefined) throw new Error(`There is no ${what} ${unknown}.`);
  return all.filter(({ name }) => asked.length === 0 || asked.includes(name));
}
