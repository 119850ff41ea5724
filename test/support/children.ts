import { readdirSync, readFileSync } from 'node:fs';

/** The process ids of the children that a process has now, whichever of its threads started them; of Linux. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  });
}
