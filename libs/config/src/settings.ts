import { commandLine } from './command-line-settings.ts';
import { common } from './common-settings.ts';
import { gateway } from './gateway-settings.ts';
import { ingest } from './ingest-settings.ts';
import { launcher } from './launcher-settings.ts';
import { relay } from './relay-settings.ts';
import { replay, stream } from './replay-settings.ts';
import type { Table } from './table.ts';

/*
 * Every setting of every Tidemark process. The reference in CONFIGURATION.md is generated from
 * here (`npm run docs:config`), and so is the list of names that a start accepts.
 */

/** All tables, by the part that reads them. */
export const tables = {
  common,
  ingest,
  gateway,
  stream,
  replay,
  relay,
  launcher,
  commandLine,
} as const;

/** Every variable that any part accepts. */
export const knownVariables: ReadonlySet<string> = new Set(
  Object.values(tables)
    .flatMap((table: Table) => Object.values(table))
    .flatMap(({ variable, type }) =>
      type === 'secret' ? [variable, `${variable}_FILE`] : [variable],
    ),
);
