import type { Values } from '../cases/bench-case.ts';
import { begin, describeCircumstances, formatCircumstances, saveResults } from '../program.ts';
import { formatValues } from '../report/table.ts';
import { raiseFileLimit } from '../system/file-limit.ts';
import { Arena } from './arena.ts';
import type { ComparisonCase } from './cases/comparison-case.ts';
import { readPeerOptions, USAGE } from './options.ts';
import { type Cell, cellOf, missingCell } from './report/comparison.ts';
import { formatComparison, formatNotes } from './report/comparison-table.ts';
import { centrifugoProgram, centrifugoVersion } from './systems/centrifugo.ts';
import type { System } from './systems/system.ts';

/*
 * `npm run bench -- peers`: the same cases on Tidemark, Centrifugo and Socket.IO, one system after the
 * other. Runs go round the systems, so that what changes on the machine meets all of them.
 */

const options = begin(readPeerOptions, USAGE);
const circumstances = describeCircumstances({ centrifugo: centrifugoVersion() ?? 'not there' });
const about = formatCircumstances(circumstances);
console.log(about.join('\n'));

const cells: Cell[] = [];
for (const one of options.cases) cells.push(...(await measureCase(one)));

const comparison = { systems: options.systems, cases: options.cases, cells };
console.log(
  `\n${about.join('\n\n')}\n\n${formatComparison(comparison)}\n\n${formatNotes(comparison)}`,
);
saveResults('peers-', circumstances, options, { cells });
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
