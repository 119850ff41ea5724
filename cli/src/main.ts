import { CommanderError } from 'commander';
import { CliError, Interrupted } from './base/errors.ts';
import { EXIT } from './base/exit-codes.ts';
import { failureOf } from './failure.ts';
import { createProgram } from './program.ts';

/** How long commands may take to end after a signal. */
const ENDING_MS = 3000;

const { stdin, stdout, stderr, env: environment } = process;
const interrupt = new AbortController();

/** The first signal ends the command in order, a second one at once. */
function endOn(signal: NodeJS.Signals, code: typeof EXIT.interrupted | typeof EXIT.terminated) {
  process.on(signal, () => {
    if (interrupt.signal.aborted) process.exit(code);
    interrupt.abort(new Interrupted(code));
    setTimeout(() => process.exit(code), ENDING_MS).unref();
  });
}

endOn('SIGINT', EXIT.interrupted);
endOn('SIGTERM', EXIT.terminated);

// `| head` takes what it wants and goes. That is no fault, and nobody reads a message.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.closed : EXIT.failure);
});
stderr.on('error', () => undefined);

async function main(): Promise<number> {
  const program = createProgram({ environment, stdin, stdout, stderr, signal: interrupt.signal });
  const isJson = process.argv.includes('--json');
  try {
    await program.parseAsync(process.argv);
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (interrupt.signal.aborted) return (interrupt.signal.reason as Interrupted).exitCode;
    const failure = failureOf(error);
    if (isJson) stderr.write(`${JSON.stringify({ error: failure })}\n`);
    else stderr.write(`tidemark: ${failure.message}\n`);
    if (!(error instanceof CliError) && environment.TIDEMARK_DEBUG) console.error(error);
    return failure.exit;
  }
}

process.exitCode = await main();
// Sockets that are kept alive would hold the process; what is written has to get out first.
stdout.write('', () => stderr.write('', () => process.exit()));
