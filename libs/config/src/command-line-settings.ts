import type { Table } from './table.ts';

/** The settings of the command line `tidemark`, beside those of the launcher. */
export const commandLine = {
  profile: {
    variable: 'TIDEMARK_PROFILE',
    type: 'text',
    default: '',
    meaning: 'The profile that `tidemark` works on, where `--profile` names none.',
  },
  token: {
    variable: 'TIDEMARK_TOKEN',
    type: 'secret',
    default: '',
    meaning: 'The token of `tidemark` and of `npm run replay:rebuild`, before that of the profile.',
  },
  debug: {
    variable: 'TIDEMARK_DEBUG',
    type: 'text',
    default: '',
    meaning: 'Where it is set, `tidemark` shows where in the code an unexpected fault came from.',
  },
} as const satisfies Table;
