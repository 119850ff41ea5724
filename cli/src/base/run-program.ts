import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileOf } from './checkout.ts';
import { CliError } from './errors.ts';

/** A program of the checkout that runs as a process of its own. */
export interface ProgramRun {
  /** Such as `infra/backup/backup.mjs`. */
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Hears each line that it prints, to both outputs; `inherit`: it has the outputs of this process. */
  readonly onLine: ((line: string) => void) | 'inherit';
}

/**
 * Runs a program to its end. A signal ends it in order.
 *
 * @throws CliError with its last line where it fails; the reason of the signal
 */
export async function runProgram(run: ProgramRun): Promise<void> {
  const { path, args, environment, signal, onLine } = run;
  signal.throwIfAborted();
  const child = spawn(process.execPath, [fileOf(path), ...args], {
    env: { ...environment },
    stdio: onLine === 'inherit' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGTERM');
  signal.addEventListener('abort', end, { once: true });
  let last = '';
  for (const output of [child.stdout, child.stderr]) {
    if (!output || onLine === 'inherit') continue;
    createInterface({ input: output }).on('line', (line) => {
      last = line;
      onLine(line);
    });
  }
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    signal.throwIfAborted();
    if (code !== 0)
      throw new CliError(last.replace(/^tidemark: /, '') || `${path} ended with ${code}.`);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
