import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Values } from '../cases/bench-case.ts';
import { describeMachine, describeVersions } from '../report/machine.ts';
import { formatValues } from '../report/table.ts';
import { raiseFileLimit } from '../system/file-limit.ts';
import { Arena } from './arena.ts';
import type { ComparisonCase } from './cases/comparison-case.ts';
import { type PeerOptions, readPeerOptions, USAGE } from './options.ts';
import { type Cell, cellOf, missingCell } from './report/comparison.ts';
import { formatComparison, formatNotes } from './report/comparison-table.ts';
import { centrifugoProgram, centrifugoVersion } from './systems/centrifugo.ts';
import type { System } from './systems/system.ts';

/*
 * `npm run bench -- peers`: the same cases on Tidemark, Centrifugo and Socket.IO, one system after the
 * other. Runs go round the systems, so that what changes on the machine meets all of them.
 */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

// Listeners of `exit` end the children.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const options = parseOptions();
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
const machine = describeMachine();
const versions = { ...describeVersions(), centrifugo: centrifugoVersion() ?? 'not there' };
const date = new Date().toISOString();
const about = [
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; ${date}`,
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', '),
];
console.log(about.join('\n'));

const cells: Cell[] = [];
for (const one of options.cases) cells.push(...(await measureCase(one)));

const comparison = { systems: options.systems, cases: options.cases, cells };
console.log(
  `\n${about.join('\n\n')}\n\n${formatComparison(comparison)}\n\n${formatNotes(comparison)}`,
);
if (options.quick) console.log('\nFigures of --quick are for a quick look. They are not results.');
save();
process.exit(cells.some(({ runs, missing }) => runs.length === 0 && !missing) ? 1 : 0);

/** @returns a cell for each system */
async function measureCase(one: ComparisonCase): Promise<Cell[]> {
  console.log(`\n${one.name}: ${one.title}`);
  const short = raiseFileLimit(one.sockets);
  const values = new Map<System, Values[]>();
  const missing = new Map<System, string>();
  for (const system of options.systems) {
    const reason = short ? `it ${short}` : whyNot(system, one);
    if (reason !== undefined) missing.set(system, reason);
  }
  for (let run = 1; run <= (one.once ? 1 : options.runs); run++) {
    for (const system of options.systems) {
      if (missing.has(system)) continue;
      try {
        const measured = await measureRun(system, one);
        values.set(system, [...(values.get(system) ?? []), measured]);
        console.log(`  ${system.name}, run ${run}: ${formatValues(measured)}`);
      } catch (error) {
        // A system has figures only where every event arrived once and in order, in every run.
        missing.set(system, `a run failed: ${(error as Error).message}`);
        console.error(`  ${system.name}: no figure: ${(error as Error).stack}`);
      }
    }
  }
  return options.systems.map((system) => {
    const names = { system: system.name, case: one.name };
    const reason = missing.get(system);
    return reason ? missingCell(names, reason) : cellOf(names, values.get(system) ?? []);
  });
}

function whyNot(system: System, one: ComparisonCase): string | undefined {
  const isCentrifugo = system.name.startsWith('centrifugo');
  if (isCentrifugo && !centrifugoProgram()) return 'there is no Centrifugo, and no Go to build it';
  return system.without(one.name);
}

async function measureRun(system: System, one: ComparisonCase): Promise<Values> {
  const arena = await Arena.open(system, one.needs);
  try {
    return await one.run(arena, options);
  } finally {
    await arena.close();
  }
}

function save(): void {
  const name = `peers-${date.replaceAll(':', '-')}.json`;
  const file = options.outFile ?? join(ROOT, 'data', 'bench', name);
  mkdirSync(dirname(file), { recursive: true });
  const { quick, runs } = options;
  writeFileSync(
    file,
    `${JSON.stringify({ date, machine, versions, quick, runs, cells }, null, 2)}\n`,
  );
  console.log(`\nSaved to ${file}`);
}

function parseOptions(): PeerOptions {
  try {
    return readPeerOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
