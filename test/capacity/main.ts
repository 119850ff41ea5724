import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine, describeVersions } from '../bench/report/machine.ts';
import type { CostFile } from './costs.ts';
import { measureCosts } from './measure.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { growthOf, largestFor, planFor, streamBounds } from './plan/plan.ts';
import { formatCosts } from './report/costs-table.ts';
import { withCosts } from './report/document.ts';
import { formatEnd, formatPlan } from './report/plan-table.ts';
import { FULL, QUICK, withinFileLimit } from './scale.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENT = join(ROOT, 'infra', 'CAPACITY.md');
const PUBLISHED = fileURLToPath(new URL('published-costs.json', import.meta.url));

// Listeners of `exit` end the children.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

try {
  const options = readOptions(process.argv.slice(2));
  if (options.mode === 'help') console.log(USAGE);
  else if (options.mode === 'plan') plan(options);
  else if (options.mode === 'publish') publish(options.costsFile);
  else await measure(options);
  process.exit();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}

async function measure({ quick, json, outFile }: Extract<Options, { mode: 'measure' }>) {
  if (platform() !== 'linux') throw new Error('The costs are read from /proc, which Linux has.');
  const startedMs = performance.now();
  const since = () => `${((performance.now() - startedMs) / 1000).toFixed(0)} s`.padStart(6);
  const date = new Date().toISOString();
  const costs = await measureCosts(withinFileLimit(quick ? QUICK : FULL), (text, run) => {
    console.error(`${since()}  ${text}`);
    return run();
  });
  console.error(`${since()}  done`);
  const machine = describeMachine();
  const result: CostFile = { date, machine, versions: describeVersions(), quick, costs };
  const file = outFile ?? join(ROOT, 'data', 'capacity', `${date.replaceAll(':', '-')}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(json ? JSON.stringify(result, null, 2) : formatCosts(result));
  console.error(`Saved to ${file}`);
  if (quick) console.error('Costs of --quick are for a quick look. They are no results.');
}

function publish(costsFile: string) {
  const file: CostFile = JSON.parse(readFileSync(costsFile, 'utf8'));
  if (file.quick) throw new Error('Costs of --quick are no results.');
  writeFileSync(DOCUMENT, withCosts(readFileSync(DOCUMENT, 'utf8'), file));
  writeFileSync(PUBLISHED, `${JSON.stringify(file, null, 2)}\n`);
}

function plan({ json, costsFile, demand, machines }: Extract<Options, { mode: 'plan' }>) {
  const { costs }: CostFile = JSON.parse(readFileSync(costsFile ?? PUBLISHED, 'utf8'));
  const asked = machines === undefined ? demand : largestFor(demand, costs, machines);
  if (asked === undefined) throw new Error('The smallest part of this demand does not fit.');
  const planned = planFor(asked, costs);
  const bounds = planned?.streamBounds ?? streamBounds(asked, costs, 1);
  const growth = growthOf(asked, costs);
  const result = { demand: asked, plan: planned ?? null, streamBounds: bounds, growth };
  if (json) console.log(JSON.stringify(result, null, 2));
  else console.log(planned ? formatPlan(asked, planned, growth) : formatEnd(bounds));
  // A demand beyond what one stream takes is no plan.
  if (bounds.some(({ used }) => used > 1)) process.exitCode = 2;
}
