import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline/promises';
import { CliError, usageError } from '../base/errors.ts';
import type { Context } from './context.ts';

/**
 * Asks a person before something that cannot be taken back.
 *
 * @throws CliError where the answer is no, or nobody can be asked and `--yes` does not say it
 */
export async function confirm(
  { stdin, output, signal }: Context,
  question: string,
  yes: boolean | undefined,
): Promise<void> {
  if (yes) return;
  if (!stdin.isTTY) throw usageError(`${question} Nobody can be asked here; --yes says so.`);
  const lines = createInterface({ input: stdin, output: process.stderr });
  // Ctrl-C is read by the prompt while it waits, and has to reach the process all the same.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await ask(lines, `${question} [y/N] `, signal);
    if (/^y(?:es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  output.message('Nothing was changed.');
  throw new CliError('It was not confirmed.', { code: 'not_confirmed' });
}

/** The answer; an empty one where the input ends, as by Ctrl-D. */
async function ask(lines: Interface, question: string, signal: AbortSignal): Promise<string> {
  // An older Node leaves the question open then, and a newer one rejects it.
  const ended = once(lines, 'close').then(() => '');
  try {
    return await Promise.race([lines.question(question, { signal }), ended]);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && error.name === 'AbortError') return '';
    throw error;
  }
}
