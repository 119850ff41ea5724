import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What a process opens beside its clients' sockets. */
const OTHER_FILES = 200;

/**
 * Makes room for so many sockets in each process that is started from here on; Node itself raises
 * its soft limit to the hard one.
 *
 * @returns why it cannot, or `undefined`
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
