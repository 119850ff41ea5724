import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What an operator's command did. */
export interface CommandResult {
  readonly code: number | null;
  /** What it printed, to both outputs. */
  readonly output: string;
}

/** Runs a command of `infra/backup` as an operator does: a user who may do everything at NATS. */
export function runOperator(
  command: 'backup' | 'restore' | 'mirror' | 'promote' | 'erasures',
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CommandResult> {
  const child = spawn(process.execPath, [`infra/backup/${command}.mjs`, ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
