import { existsSync } from 'node:fs';

/**
 * What runs npm without a shell. Where npm started this process, that is npm's own JavaScript on
 * this Node. On Windows npm is otherwise a batch file, which Node refuses to start by itself; there
 * the command interpreter does, and so the arguments must need no quoting.
 *
 * @param {readonly string[]} args
 * @param {{ environment?: NodeJS.ProcessEnv, platform?: NodeJS.Platform }} [where]
 * @returns {{ command: string, args: string[] }}
 */
export function npmCommand(args, where = {}) {
  const { environment = process.env, platform = process.platform } = where;
  const script = environment.npm_execpath;
  // Other package managers name themselves there as well.
  if (script && /[\\/]npm-cli\.c?js$/.test(script) && existsSync(script)) {
    return { command: process.execPath, args: [script, ...args] };
  }
  if (platform !== 'win32') return { command: 'npm', args: [...args] };
  return { command: environment.ComSpec || 'cmd.exe', args: ['/d', '/c', 'npm', ...args] };
}
