import { Command } from 'commander';
import { EXIT_CODES } from './base/exit-codes.ts';
import { VERSION } from './base/version.ts';
import { backupCommand } from './commands/backup.ts';
import { benchCommand } from './commands/bench.ts';
import { completionCommand } from './commands/completion.ts';
import { connectionsCommand } from './commands/connections.ts';
import { consoleCommand } from './commands/console.ts';
import { disconnectCommand } from './commands/disconnect.ts';
import { doctorCommand } from './commands/doctor.ts';
import { eraseCommand } from './commands/erase.ts';
import { headCommand } from './commands/head.ts';
import { historyCommand } from './commands/history.ts';
import { inboxCommand } from './commands/inbox.ts';
import { profileCommand } from './commands/profile.ts';
import { publishCommand } from './commands/publish.ts';
import { rebuildCommand } from './commands/rebuild.ts';
import { relayCommand } from './commands/relay.ts';
import { restoreCommand } from './commands/restore.ts';
import { revokeCommand } from './commands/revoke.ts';
import { statsCommand } from './commands/stats.ts';
import { tailCommand } from './commands/tail.ts';
import { tokenCommand } from './commands/token.ts';
import { topicsCommand } from './commands/topics.ts';
import type { Host } from './session/context.ts';

const HELP_WIDTH_MAX = 100;

/** All commands, in the order of the help, with the heading that each group has. */
const GROUPS: readonly (readonly [string, readonly ((host: Host) => Command)[]])[] = [
  [
    'Events:',
    [publishCommand, tailCommand, historyCommand, topicsCommand, headCommand, inboxCommand],
  ],
  [
    'Operations:',
    [statsCommand, connectionsCommand, doctorCommand, benchCommand, consoleCommand, relayCommand],
  ],
  [
    'Changes that operators make:',
    [disconnectCommand, revokeCommand, eraseCommand, rebuildCommand, backupCommand, restoreCommand],
  ],
  ['Set-up:', [profileCommand, tokenCommand, completionCommand]],
];

/** The program `tidemark`. */
export function createProgram(host: Host): Command {
  const program = new Command('tidemark')
    .description('Publish, follow and operate the events of Tidemark.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help, also of exit-codes')
    .option('--profile <name>', 'the system to work on (TIDEMARK_PROFILE)')
    .option('--gateway <url>', 'base URL of the gateway, and of all services behind one proxy')
    .option('--ingest <url>', 'base URL of ingest')
    .option('--replay <url>', 'base URL of replay')
    .option('--admin <url>', 'base URL for admin calls, where services have an admin port')
    .option('--token <token>', 'the token; TIDEMARK_TOKEN does not show in lists of processes')
    .option('--as <user>', 'with the profile local: the user of the token that is made')
    .option('--json', 'results as lines of JSON, and errors too')
    .option('--no-color', 'no colours; NO_COLOR says the same')
    .option('-q, --quiet', 'no messages beside errors')
    .showSuggestionAfterError(true)
    .addHelpText('after', OVERVIEW);
  for (const [heading, commands] of GROUPS) {
    for (const create of commands) program.addCommand(create(host).helpGroup(heading));
  }
  program.addCommand(exitCodesCommand(), { hidden: true });
  for (const command of everyCommand(program)) configure(command, host);
  return program;
}

const OVERVIEW = `
Results go to stdout, and everything about them to stderr. Without a profile, commands work on what
\`npm start\` of the checkout runs.

Examples:
  $ tidemark tail 'orders.*' --after last
  $ tidemark publish orders.42 '{"total": 12.5}' --type order.paid
  $ tidemark help exit-codes`;

/** `tidemark exit-codes`, and so `tidemark help exit-codes`. */
function exitCodesCommand(): Command {
  return new Command('exit-codes')
    .summary('what the exit codes mean')
    .description(`What the exit codes mean.\n\n${exitCodeLines().join('\n')}`)
    .action(() => undefined);
}

/** Each exit code with its meaning. */
export function exitCodeLines(): string[] {
  return EXIT_CODES.map(([code, meaning]) => `${String(code).padStart(5)}  ${meaning}`);
}

/** A command and all below it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function configure(command: Command, { stdout, stderr, environment }: Host): void {
  const hasColors = (stream: NodeJS.WriteStream) =>
    stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  command.exitOverride().configureOutput({
    writeOut: (text) => stdout.write(text),
    writeErr: (text) => stderr.write(text),
    // The text begins with `error: `; every message of this program begins with its name.
    outputError: (text, write) => write(text.replace(/^error: /, 'tidemark: ')),
    getOutHelpWidth: () => Math.min(stdout.columns || HELP_WIDTH_MAX, HELP_WIDTH_MAX),
    getErrHelpWidth: () => Math.min(stderr.columns || HELP_WIDTH_MAX, HELP_WIDTH_MAX),
    getOutHasColors: () => hasColors(stdout),
    getErrHasColors: () => hasColors(stderr),
  });
  if (command.parent) {
    command.addHelpText('after', '\nOptions of every command: tidemark --help');
  }
}
