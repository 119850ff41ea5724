import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine, describeVersions, type Machine } from './report/machine.ts';

/*
 * What the programs that measure have in common around their cases: how they begin, what they say of the machine, and where
 * the results are kept.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RUNS = 3;
const RUNS_MAX = 99;

/** What every program is told. */
export interface CommonOptions {
  /** How often each case is measured. */
  readonly runs: number;
  readonly quick: boolean;
  readonly outFile: string | undefined;
  readonly help: boolean;
}

/** For `parseArgs`: the options of every program. */
export const COMMON_ARGUMENTS = {
  case: { type: 'string', multiple: true, default: [] as string[] },
  runs: { type: 'string' },
  quick: { type: 'boolean', default: false },
  out: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** @param file what the results are saved to by default, without its folder */
export function commonUsage(file: string): string {
  return `  --runs     how often each case is measured; the table shows medians (${RUNS})
  --quick    smaller cases and one run, for a look: these figures are no results
  --out      the JSON file (data/bench/${file})
  --help     shows this`;
}

/** @throws Error with one sentence that names the fault */
export function readCommonOptions(values: {
  readonly runs?: string | undefined;
  readonly quick: boolean;
  readonly out?: string | undefined;
  readonly help: boolean;
}): CommonOptions {
  const { quick, out: outFile, help } = values;
  const runs = Number(values.runs ?? (quick ? 1 : RUNS));
  if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX) {
    throw new Error(`--runs ${values.runs} is no number from 1 to ${RUNS_MAX}.`);
  }
  return { runs, quick, outFile, help };
}

/**
 * @param what the things are, in the singular
 * @param lists names with commas between them; all are meant where there is none
 * @throws Error with one sentence where there is no such name
 */
export function select<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  lists: readonly string[],
): readonly T[] {
  const asked = lists.flatMap((list) => list.split(','));
  const unknown = asked.find((name) => !all.some((known) => known.name === name));
  if (unknown !== undefined) throw new Error(`There is no ${what} ${unknown}.`);
  return all.filter(({ name }) => asked.length === 0 || asked.includes(name));
}

/** Ends the process where the options are wrong, or ask for help alone. */
export function begin<O extends CommonOptions>(
  read: (args: readonly string[]) => O,
  usage: string,
): O {
  // Listeners of `exit` end the children.
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  try {
    const options = read(process.argv.slice(2));
    if (!options.help) return options;
    console.log(usage);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
  process.exit(0);
}

/** Where and with what a program has measured. */
export interface Circumstances {
  /** In ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
}

/** @param more versions of what only this program uses */
export function describeCircumstances(more: Readonly<Record<string, string>> = {}): Circumstances {
  return {
    date: new Date().toISOString(),
    machine: describeMachine(),
    versions: { ...describeVersions(), ...more },
  };
}

/** @returns a line about the machine, and one with all versions */
export function formatCircumstances({ date, machine, versions }: Circumstances): readonly string[] {
  const { cpu, cores, memoryGiB, system } = machine;
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [`${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; ${date}`, all.join(', ')];
}

/** @param prefix of the name of the file, where the options name none */
export function saveResults(
  prefix: string,
  { date, machine, versions }: Circumstances,
  { runs, quick, outFile }: CommonOptions,
  results: object,
): void {
  const name = `${prefix}${date.replaceAll(':', '-')}.json`;
  const file = outFile ?? join(ROOT, 'data', 'bench', name);
  mkdirSync(dirname(file), { recursive: true });
  const all = { date, machine, versions, quick, runs, ...results };
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
  if (quick) console.log('\nFigures of --quick are for a quick look. They are not results.');
  console.log(`\nSaved to ${file}`);
}
