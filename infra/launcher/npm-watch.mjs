import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { codeOf } from './failure.mjs';

const POLL_MS = 500;

/** Programs that may stand between npm and this process: shells, and `run`, which is a shell too. */
const BETWEEN = /^-?(?:sh|dash|bash|ash|zsh|ksh|busybox|run|cmd\.exe)$/;

/** How many processes are looked up at most. */
const DEPTH_MAX = 8;

/** @typedef {{ parent: number, name: string }} Ancestor a process: its parent, and its program */
/** @typedef {(pid: number) => Promise<Ancestor | undefined>} Lookup */

/**
 * Calls back when the npm that runs this script has ended, because a killed npm passes no signal on.
 * Shells may stand between npm and this script and outlive npm. So this watches npm itself and the shells.
 *
 * @param {() => void} onGone
 * @param {NodeJS.Platform} [platform]
 */
export function watchNpm(onGone, platform = process.platform) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  /** @type {readonly number[]} */
  let watched = [parent];
  findNpm(parent, lookupOn(platform)).then((pids) => {
    watched = pids;
  });
  const timer = setInterval(() => {
    // Except on Windows, a process whose parent has ended gets another parent.
    if (process.ppid === parent && watched.every(isAlive)) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
}

/**
 * The shells between npm and this process, and npm last.
 *
 * @param {number} pid the parent of this process
 * @param {Lookup} lookup
 * @returns {Promise<number[]>}
 */
export async function findNpm(pid, lookup) {
  const pids = [pid];
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const ancestor = await lookup(pids.at(-1) ?? pid);
    if (ancestor === undefined || !BETWEEN.test(ancestor.name) || ancestor.parent <= 1) break;
    pids.push(ancestor.parent);
  }
  return pids;
}

/** How a process is looked up on a platform. @param {NodeJS.Platform} platform @returns {Lookup} */
export function lookupOn(platform) {
  if (platform === 'linux') return async (pid) => statOf(pid);
  return platform === 'win32' ? fromPowerShell : fromPs;
}

/** @param {number} pid */
function statOf(pid) {
  try {
    // The name, in parentheses, may hold anything; the state and the parent follow it.
    const stat = /^\d+ \((.*)\) (\S) (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return stat ? { name: stat[1] ?? '', state: stat[2], parent: Number(stat[3]) } : undefined;
  } catch {
    return undefined;
  }
}

/** @type {Lookup} */
async function fromPs(pid) {
  const output = await outputOf('ps', ['-o', 'ppid=,comm=', '-p', String(pid)]);
  const [, parent, path = ''] = /^\s*(\d+)\s+(.*)$/m.exec(output) ?? [];
  return parent === undefined ? undefined : { parent: Number(parent), name: lastOf(path) };
}

/** @type {Lookup} */
async function fromPowerShell(pid) {
  const query = `Get-CimInstance Win32_Process -Filter ProcessId=${pid}`;
  const command = `${query} | ForEach-Object { "$($_.ParentProcessId) $($_.Name)" }`;
  const output = await outputOf('powershell.exe', ['-NoProfile', '-Command', command]);
  const [, parent, name = ''] = /^\s*(\d+) (.*?)\s*$/m.exec(output) ?? [];
  return parent === undefined ? undefined : { parent: Number(parent), name: name.toLowerCase() };
}

/** @param {string} path */
function lastOf(path) {
  return path.trim().split('/').at(-1) ?? '';
}

/** @param {string} command @param {readonly string[]} args empty where the command fails */
async function outputOf(command, args) {
  const { stdout } = await promisify(execFile)(command, args, { windowsHide: true }).catch(() => ({
    stdout: '',
  }));
  return stdout;
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  // A process that has ended can be signalled until its parent has noticed that.
  return statOf(pid)?.state !== 'Z';
}
