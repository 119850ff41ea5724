import { existsSync } from 'node:fs';

/**
 * Returns the command that runs npm. Where npm started this process, it is the JavaScript of that npm
 * on this Node. Otherwise it is the npm on the PATH. On Windows that is a batch file, which Node cannot
 * start without the command interpreter. So the arguments must not need quotes.
 *
 * @param {readonly string[]} args
 * @param {{ environment?: NodeJS.ProcessEnv, platform?: NodeJS.Platform }} [where]
 * @returns {{ command: string, args: string[] }}
 */
export function npmCommand(args, where = {}) {
  const { environment = process.env, platform = process.platform } = where;
  const script = environment.npm_execpath;
  // Other package managers set this variable too.
  if (script && /[\\/]npm-cli\.c?js$/.test(script) && existsSync(script)) {
    return { command: process.execPath, args: [script, ...args] };
  }
  if (platform !== 'win32') return { command: 'npm', args: [...args] };
  return { command: environment.ComSpec || 'cmd.exe', args: ['/d', '/c', 'npm', ...args] };
}
