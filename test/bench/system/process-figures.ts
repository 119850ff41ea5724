import { readFileSync } from 'node:fs';
import { childrenOf } from '../../support/children.ts';

/** Clock ticks of /proc in a second; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const MS_PER_TICK = 1000 / TICKS_PER_SECOND;

/** CPU time of a process with all its threads, user and system, in steps of 10 ms. */
export function cpuMs(pid: number): number {
  // The name in brackets may hold spaces; utime and stime are the 12th and 13th after it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** A process with its children, theirs, and so on, as they are now. */
export function processTree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** Resident memory of a process. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** CPU time that all processes of the machine have used together. */
export function machineCpuMs(): number {
  const [total = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = total
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) * MS_PER_TICK;
}

/** CPU time of a process, its children that are there now, and theirs. */
export function familyCpuMs(pid = process.pid): number {
  return processTree(pid).reduce((sum, one) => sum + cpuMs(one), 0);
}

/** CPU time of the children of this process that run a program with that name. */
export function childrenCpuMs(program: string): number {
  return childrenOf(process.pid)
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === program)
    .reduce((sum, pid) => sum + cpuMs(pid), 0);
}
