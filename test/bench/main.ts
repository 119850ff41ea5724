import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchCase, Values } from './cases/bench-case.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { type CaseResult, evaluate, refuse } from './report/case-result.ts';
import { summarizeProfiles } from './report/cpu-profile.ts';
import { describeMachine, describeVersions } from './report/machine.ts';
import { formatTable, formatValues } from './report/table.ts';
import { raiseFileLimit } from './system/file-limit.ts';
import { Unverified } from './system/measurement.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// Listeners of `exit` end the children.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const options = parseOptions();
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
const machine = describeMachine();
const versions = describeVersions();
const date = new Date().toISOString();
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`);
console.log(formatVersions(versions));

const results: CaseResult[] = [];
for (const benchCase of options.cases) results.push(await measureCase(benchCase, options));

console.log(`\n${formatTable(results)}`);
if (options.quick) console.log('\nFigures of --quick are for a quick look. They are not results.');
const file = options.outFile ?? join(ROOT, 'data', 'bench', `${date.replaceAll(':', '-')}.json`);
mkdirSync(dirname(file), { recursive: true });
const { quick, runs } = options;
writeFileSync(
  file,
  `${JSON.stringify({ date, machine, versions, quick, runs, results }, null, 2)}\n`,
);
console.log(`\nSaved to ${file}`);
process.exit(results.some(({ refused }) => refused !== undefined) ? 1 : 0);

async function measureCase(benchCase: BenchCase, options: Options): Promise<CaseResult> {
  const { name, title, sockets } = benchCase;
  const { attacks, runs, quick, profileFolder } = options;
  console.log(`\n${name}: ${title}`);
  const values: Values[] = [];
  try {
    const short = raiseFileLimit(sockets);
    if (short !== undefined) throw new Unverified(`it ${short}`);
    const folder = profileFolder && join(profileFolder, name);
    for (let run = 1; run <= runs; run++) {
      const measured = await benchCase.run({ attacks, quick, profileFolder: folder });
      values.push(measured);
      console.log(`  run ${run}: ${formatValues(measured)}`);
    }
    if (folder) console.log(summarizeProfiles(folder));
    return evaluate(benchCase, values);
  } catch (error) {
    // A figure is reported only where every event arrived once and in order.
    const reason = error instanceof Unverified ? error.message : String((error as Error).stack);
    console.error(`  no figure: ${reason}`);
    return refuse(benchCase, reason);
  }
}

function parseOptions(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function formatVersions(all: Readonly<Record<string, string>>): string {
  return Object.entries(all)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}
