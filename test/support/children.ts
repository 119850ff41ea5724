import { readFileSync } from 'node:fs';

/** The process ids of the children that a process has now, oldest first; of Linux. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}
