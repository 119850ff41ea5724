import { parseArgs } from 'node:util';
import {
  COMMON_ARGUMENTS,
  type CommonOptions,
  commonUsage,
  readCommonOptions,
  select,
} from '../program.ts';
import type { ComparisonCase } from './cases/comparison-case.ts';
import { cases } from './cases/index.ts';
import { systems } from './systems/index.ts';
import type { System } from './systems/system.ts';

export interface PeerOptions extends CommonOptions {
  readonly systems: readonly System[];
  readonly cases: readonly ComparisonCase[];
}

const names = (list: readonly { readonly name: string }[]) =>
  list.map(({ name }) => name).join(', ');

export const USAGE = `npm run bench -- peers [--system NAME[,NAME]...] [--case NAME[,NAME]...] [--runs N] [--quick] [--out FILE]

  --system   ${names(systems)}; all by default
  --case     ${names(cases)}; all by default
${commonUsage('peers-<time>.json')}`;

/** @throws Error with one sentence that names the fault */
export function readPeerOptions(args: readonly string[]): PeerOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...COMMON_ARGUMENTS,
      system: { type: 'string', multiple: true, default: [] },
    },
  });
  return {
    ...readCommonOptions(values),
    systems: select('system', systems, values.system),
    cases: select('case', cases, values.case),
  };
}
