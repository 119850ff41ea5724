import type { Command } from 'commander';
import { loadProgram } from '../base/checkout.ts';
import { CliError, messageOf, usageError } from '../base/errors.ts';
import { EXIT } from '../base/exit-codes.ts';
import { commaList, integer, oneOf } from '../base/parse.ts';
import { runProgram } from '../base/run-program.ts';
import { formatCount } from '../output/format.ts';
import { showTable } from '../output/show-table.ts';
import { makeLocalToken } from '../profile/local.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Place {
  readonly database?: string;
  readonly table?: string;
}

/** A row that the relay has set aside. */
interface FailedRow {
  readonly position: string;
  readonly topic: string;
  readonly source: string;
  readonly id: string;
  readonly failure: string;
  readonly failedAt: string;
}

interface FailedRows {
  listFailedRows(place: OutboxPlace, rowsMax?: number): Promise<FailedRow[]>;
  retryFailedRows(place: OutboxPlace, choice: RetryChoice): Promise<number>;
}

interface OutboxPlace {
  readonly databaseUrl: string;
  readonly table: string;
}

interface RetryChoice {
  readonly positions?: readonly string[];
  readonly asNew?: boolean;
}

const DATABASES = ['postgresql', 'sqlite'] as const;
const TABLE = 'tidemark_outbox';
const LOCAL_TOKEN_SECONDS = 30 * 24 * 3600;
const ROWS_SHOWN = 100;

/** `tidemark relay`, with its commands. */
export function relayCommand(host: Host): Command {
  const made = command({
    usage: 'relay',
    summary: 'Bring the rows of an outbox into the stream, until Ctrl-C',
    description:
      'Runs the relay of this checkout with the URLs and the token of the profile. Its other settings are TIDEMARK_RELAY_ variables (libs/config/CONFIGURATION.md). With the profile local the token is made here, for 30 days.',
    examples: [
      'tidemark relay schema postgresql | psql shop',
      'tidemark relay --database postgres://user:password@host/shop',
      'tidemark relay failed --database sqlite:./shop.db',
      'tidemark relay retry --database sqlite:./shop.db',
    ],
  }).option(
    '--port <port>',
    'of health and metrics; 0 is a free one',
    integer('--port', 0, 65_535),
  );
  withPlace(made);
  does<Place & { port?: number }>(made, host, async (context, options) => {
    await runProgram({
      path: 'services/relay/dist/main.js',
      args: [],
      environment: await relayEnvironment(context, options),
      signal: context.signal,
      onLine: 'inherit',
    });
  });
  return made
    .addCommand(schemaCommand(host))
    .addCommand(failedCommand(host))
    .addCommand(retryCommand(host));
}

function withPlace(made: Command): Command {
  return made
    .option(
      '--database <url>',
      'postgres://… or sqlite:<path>; TIDEMARK_RELAY_DATABASE_URL if absent',
    )
    .option('--table <name>', `the table of the outbox (default: ${TABLE})`);
}

async function relayEnvironment(
  context: Context,
  options: Place & { readonly port?: number },
): Promise<Environment> {
  const { environment } = context;
  const { urls, isTokenMade, token } = await context.target();
  const { databaseUrl, table } = placeOf(environment, options);
  const given = environment.TIDEMARK_RELAY_TOKEN || environment.TIDEMARK_RELAY_TOKEN_FILE;
  const request = {
    subject: 'relay',
    scope: 'publish:> history:>',
    ttlSeconds: LOCAL_TOKEN_SECONDS,
  };
  return {
    ...environment,
    TIDEMARK_RELAY_DATABASE_URL: databaseUrl,
    TIDEMARK_RELAY_TABLE: table,
    TIDEMARK_RELAY_INGEST_URL: urls.ingest,
    TIDEMARK_RELAY_REPLAY_URL: urls.replay,
    TIDEMARK_RELAY_GATEWAY_URL: urls.gateway,
    ...(!given && {
      TIDEMARK_RELAY_TOKEN: isTokenMade
        ? await makeLocalToken(environment, request)
        : await token.get(),
    }),
    ...(options.port !== undefined && { TIDEMARK_RELAY_PORT: String(options.port) }),
  };
}

function placeOf(environment: Environment, { database, table }: Place): OutboxPlace {
  const databaseUrl = database ?? environment.TIDEMARK_RELAY_DATABASE_URL;
  if (!databaseUrl) throw usageError('--database is needed, or TIDEMARK_RELAY_DATABASE_URL.');
  if (!/^(?:postgres(?:ql)?:\/\/|sqlite:)/.test(databaseUrl)) {
    throw usageError('--database begins with postgres:// or sqlite: and names a database.');
  }
  return { databaseUrl, table: table ?? environment.TIDEMARK_RELAY_TABLE ?? TABLE };
}

function schemaCommand(host: Host): Command {
  const made = command({
    usage: 'schema <database>',
    summary: 'Print the SQL that creates the table of an outbox',
    examples: [
      'tidemark relay schema postgresql | psql shop',
      'tidemark relay schema sqlite | sqlite3 shop.db',
    ],
  }).option('--table <name>', `the name of the table (default: ${TABLE})`);
  return does<Place>(made, host, async ({ output }, { table = TABLE }, [database = '']) => {
    const { schemaFor } = await loadProgram<{
      schemaFor(database: (typeof DATABASES)[number], table: string): string;
    }>('libs/publisher/dist/outbox/index.js');
    const sql = asUsage(() => schemaFor(oneOf('database', DATABASES)(database), table));
    await output.write(sql.endsWith('\n') ? sql : `${sql}\n`);
  });
}

function failedCommand(host: Host): Command {
  const made = command({
    usage: 'failed',
    summary: 'List the rows that the relay has set aside, and why',
    examples: ['tidemark relay failed --database sqlite:./shop.db', 'tidemark relay failed --json'],
  }).option(
    '--limit <n>',
    `at most this many (default: ${ROWS_SHOWN})`,
    integer('--limit', 1, 100_000),
  );
  withPlace(made);
  return does<Place & { limit?: number }>(made, host, async (context, options) => {
    const { output, environment } = context;
    const place = placeOf(environment, options);
    const { listFailedRows } = await loadRows();
    const rows = await reached(() => listFailedRows(place, options.limit ?? ROWS_SHOWN));
    if (output.json) {
      for (const row of rows) await output.data(row);
      return;
    }
    await showTable<FailedRow>(
      output,
      [
        { title: 'POSITION', value: ({ position }) => position, align: 'right' },
        { title: 'SINCE', value: ({ failedAt }) => failedAt },
        { title: 'TOPIC', value: ({ topic }) => topic, flexible: true },
        { title: 'ID', value: ({ id }) => id, flexible: true },
        { title: 'FAILURE', value: ({ failure }) => failure, flexible: true },
      ],
      rows,
    );
  });
}

function retryCommand(host: Host): Command {
  const made = command({
    usage: 'retry [positions...]',
    summary: 'Let rows be tried again that were set aside; all of them without positions',
    examples: [
      'tidemark relay retry --database sqlite:./shop.db',
      'tidemark relay retry 17 18 --as-new',
    ],
  }).option(
    '--as-new',
    'do not look whether they are in the stream already: one that is may come twice',
  );
  withPlace(made);
  return does<Place & { asNew?: boolean }>(made, host, async (context, options, args) => {
    const place = placeOf(context.environment, options);
    const positions = args.flatMap(commaList);
    const { retryFailedRows } = await loadRows();
    const rows = await reached(() =>
      retryFailedRows(place, {
        ...(positions.length > 0 && { positions }),
        ...(options.asNew && { asNew: true }),
      }),
    );
    if (context.output.json) await context.output.data({ rows });
    else context.output.message(`${formatCount(rows)} rows are tried again.`);
  });
}

function loadRows(): Promise<FailedRows> {
  return loadProgram<FailedRows>('services/relay/dist/failed-rows.js');
}

/** What a database says is told as it is. */
async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TypeError) throw usageError(error.message);
    throw new CliError(`The outbox cannot be used: ${messageOf(error)}`, {
      code: 'unavailable',
      exitCode: EXIT.unavailable,
    });
  }
}

function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TypeError ? usageError(error.message) : error;
  }
}
