import { parseArgs } from 'node:util';
import type { BenchCase } from './cases/bench-case.ts';
import { cases } from './cases/index.ts';
import { ATTACKS, type Attack } from './fairness/plan.ts';
import {
  COMMON_ARGUMENTS,
  type CommonOptions,
  commonUsage,
  readCommonOptions,
  select,
} from './program.ts';

export interface Options extends CommonOptions {
  readonly cases: readonly BenchCase[];
  /** The attacks of the case `fairness`. */
  readonly attacks: readonly Attack[];
  readonly profileFolder: string | undefined;
}

export const USAGE = `npm run bench -- [--case NAME[,NAME]...] [--attack NAME[,NAME]...] [--runs N] [--quick] [--profile FOLDER] [--out FILE]

  --case     ${cases.map(({ name }) => name).join(', ')}; all by default
  --attack   of the case fairness: ${ATTACKS.join(', ')}; all by default
  --profile  writes CPU profiles of the measured service and shows where its time went
${commonUsage('<time>.json')}

npm run bench -- peers compares Tidemark with Centrifugo and Socket.IO; npm run bench -- peers --help`;

/** @throws Error with one sentence that names the fault */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...COMMON_ARGUMENTS,
      attack: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
    },
  });
  const attacks = ATTACKS.map((name) => ({ name }));
  return {
    ...readCommonOptions(values),
    cases: select('case', cases, values.case),
    attacks: select('attack', attacks, values.attack).map(({ name }) => name),
    profileFolder: values.profile,
  };
}
