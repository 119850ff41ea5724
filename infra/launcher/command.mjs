import { spawn } from 'node:child_process';

/** The end of a command's output that is kept for looking into. */
const OUTPUT_LENGTH_MAX = 64 * 1024;

/**
 * Runs a command to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean }} [options] `show`: its output
 *   goes to this terminal too
 * @returns {Promise<{ ok: boolean, code: number | null, output: string }>} a command that does not
 *   exist counts as one that failed
 */
export function run(command, args, { cwd, env = process.env, show = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const endWithUs = () => child.kill('SIGTERM');
    process.once('exit', endWithUs);

    let output = '';
    child.stdout.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_LENGTH_MAX);
      if (show) process.stdout.write(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_LENGTH_MAX);
      if (show) process.stderr.write(chunk);
    });
    /** @param {number | null} code */
    const finish = (code) => {
      process.off('exit', endWithUs);
      resolve({ ok: code === 0, code, output });
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
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 */
export async function succeeds(command, args, options) {
  return (await run(command, args, options)).ok;
}

/** Signals end a script at once and its running commands with it. */
export function endOnSignals() {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}
