import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Files that a process opens in addition to its clients' sockets. */
const OTHER_FILES = 200;

/**
 * Raises the limit of open files for this many sockets in each process that starts from now on. Node
 * itself raises its soft limit to the hard one.
 *
 * @returns the reason why it cannot; `undefined` if it can
 */
export function raiseFileLimit(sockets: number): string | undefined {
  const needed = sockets + OTHER_FILES;
  const there = hardLimit();
  if (there >= needed) return undefined;
  // Only root may raise its own hard limit.
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${needed}:${needed}`]);
  if (hardLimit() >= needed) return undefined;
  return `needs ${needed} open files in a process, and the limit is ${there} (ulimit -Hn)`;
}

function hardLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}
