import { parseArgs } from 'node:util';
import { DEMAND_OPTIONS, type Demand, readDemand } from './plan/demand.ts';

export type Options =
  | { readonly mode: 'help' }
  | { readonly mode: 'publish'; readonly costsFile: string }
  | {
      readonly mode: 'measure';
      readonly quick: boolean;
      readonly json: boolean;
      readonly outFile: string | undefined;
    }
  | {
      readonly mode: 'plan';
      readonly json: boolean;
      readonly costsFile: string | undefined;
      readonly demand: Demand;
      /** How many machines there are, where the largest load for them is asked. */
      readonly machines: number | undefined;
    };

const DEMAND_LINES = Object.entries(DEMAND_OPTIONS)
  .map(([name, { text, fallback }]) => `    --${name.padEnd(18)} ${text} (${fallback})`)
  .join('\n');

export const USAGE = `npm run capacity -- [--quick] [--json] [--out FILE]
npm run capacity -- --plan [--costs FILE] [--machines N] [--json] [the demand]
npm run capacity -- --publish FILE

The first measures in under five minutes what connections, events and topics cost on this machine, which has
to be Linux. The second computes what a deployment takes, and which limit it reaches first.

  --quick     a tenth of the load, for a look: these costs are no results
  --out       the file of the costs (data/capacity/<time>.json)
  --json      JSON in the place of the tables; progress goes to the standard error
  --plan      computes; measures nothing
  --costs     the file of a run; without it the costs of infra/CAPACITY.md
  --publish   writes the costs of that file into infra/CAPACITY.md, as those that a plan takes
  --machines  grows connections and events together until so many machines are used
  --help      shows this

  The demand:
${DEMAND_LINES}`;

/** @throws Error with one sentence that names the fault */
export function readOptions(args: readonly string[]): Options {
  const demandNames = Object.keys(DEMAND_OPTIONS);
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      plan: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      out: { type: 'string' },
      costs: { type: 'string' },
      machines: { type: 'string' },
      publish: { type: 'string' },
      ...Object.fromEntries(demandNames.map((name) => [name, { type: 'string' } as const])),
    },
  });
  const { quick, json, plan, help, out, costs, machines, publish } = values;
  if (help) return { mode: 'help' };
  if (publish !== undefined) return { mode: 'publish', costsFile: publish };
  if (!plan) {
    const misplaced = ['costs', 'machines', ...demandNames].find((name) => name in values);
    if (misplaced !== undefined) throw new Error(`--${misplaced} needs --plan.`);
    return { mode: 'measure', quick, json, outFile: out };
  }
  const count = machines === undefined ? undefined : Number(machines);
  if (count !== undefined && !(Number.isInteger(count) && count > 0)) {
    throw new Error(`--machines ${machines} is no number of machines.`);
  }
  return { mode: 'plan', json, costsFile: costs, demand: readDemand(values), machines: count };
}
