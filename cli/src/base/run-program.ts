import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileOf } from './checkout.ts';
import { CliError } from './errors.ts';

/** What a warning or the failure of a program begins with. */
const PREFIX = 'tidemark: ';

/** A program of the checkout that runs as a process of its own. */
export interface ProgramRun {
  /** Such as `infra/backup/backup.mjs`. */
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /**
   * Hears each line that it prints, to both outputs, but the one with which it fails; `inherit`: it has the outputs of
   * this process.
   */
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
  // It may be a warning or the failure: what follows tells.
  let held: string | undefined;
  const tell = (line: string | undefined) => {
    if (line !== undefined && onLine !== 'inherit') onLine(line);
  };
  const hear = (line: string) => {
    tell(held);
    last = line;
    held = line.startsWith(PREFIX) ? line : undefined;
    if (held === undefined) tell(line);
  };
  for (const output of [child.stdout, child.stderr]) {
    if (!output || onLine === 'inherit') continue;
    createInterface({ input: output }).on('line', hear);
  }
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    signal.throwIfAborted();
    if (code !== 0) {
      const reason = last.startsWith(PREFIX) ? last.slice(PREFIX.length) : last;
      throw new CliError(reason || `${path} ended with ${code}.`);
    }
    tell(held);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
