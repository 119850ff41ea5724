import { join } from 'node:path';
import type { BenchCase, Values } from './cases/bench-case.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { begin, describeCircumstances, formatCircumstances, saveResults } from './program.ts';
import { type CaseResult, evaluate, refuse } from './report/case-result.ts';
import { summarizeProfiles } from './report/cpu-profile.ts';
import { formatTable, formatValues } from './report/table.ts';
import { raiseFileLimit } from './system/file-limit.ts';
import { Unverified } from './system/measurement.ts';

const options = begin(readOptions, USAGE);
const circumstances = describeCircumstances();
console.log(formatCircumstances(circumstances).join('\n'));

const results: CaseResult[] = [];
for (const benchCase of options.cases) results.push(await measureCase(benchCase, options));

console.log(`\n${formatTable(results)}`);
saveResults('', circumstances, options, { results });
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
