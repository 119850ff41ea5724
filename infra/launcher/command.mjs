import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { watchNpm } from './npm-watch.mjs';

const GUARD = fileURLToPath(new URL('guard.mjs', import.meta.url));

/** How much of the end of a command's output is kept. */
const OUTPUT_LENGTH_MAX = 64 * 1024;

/** The guards of commands that run now. @type {Set<import('node:child_process').ChildProcess>} */
const guards = new Set();

let ending = false;

/**
 * Runs a command to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean, guarded?: boolean }} [options]
 *   `show`: the terminal shows its output too; `guarded`: it ends when this process does
 * @returns {Promise<{ ok: boolean, code: number | null, output: string }>} `output`: what it wrote
 *   to stdout and stderr; `ok` is false for a command that does not exist
 */
export function run(command, args, options = {}) {
  const { cwd, env = process.env, show = false, guarded = false } = options;
  return new Promise((resolve) => {
    const child = guarded
      ? spawn(process.execPath, [GUARD, command, ...args], {
          cwd,
          env,
          stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
          detached: true,
          windowsHide: true,
        })
      : spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    if (guarded) {
      guards.add(child);
      child.once('exit', () => guards.delete(child));
    }

    let output = '';
    child.stdout?.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_LENGTH_MAX);
      if (show) process.stdout.write(chunk);
    });
    child.stderr?.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_LENGTH_MAX);
      if (show) process.stderr.write(chunk);
    });
    /** @param {number | null} code */
    const finish = (code) => {
      // Whoever waits for a command that we ended must not continue.
      if (!ending) resolve({ ok: code === 0, code, output });
    };
    child.once('error', (error) => {
      output += error.message;
      finish(null);
    });
    child.once('close', finish);
  });
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, guarded?: boolean }} [options]
 */
export async function succeeds(command, args, options) {
  return (await run(command, args, options)).ok;
}

/** Ends the guarded commands that run now, and waits for that. */
export async function endCommands() {
  ending = true;
  const ends = [...guards].map((guard) => {
    guard.disconnect();
    return new Promise((resolve) => guard.once('exit', resolve));
  });
  await Promise.all(ends);
}

/** Makes signals end this script and the commands that it runs. */
export function endOnSignals() {
  /** @param {number} code */
  const end = (code) => endCommands().then(() => process.exit(code));
  process.once('SIGINT', () => end(130));
  process.once('SIGTERM', () => end(143));
  watchNpm(() => end(1));
}
