import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { until } from './until.ts';

/**
 * Stops a process as a hung one stands still, until `SIGCONT`. Returns when none of its threads runs:
 * on a busy machine they go on for a moment after the signal, and could answer one more request.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return;
  await until(() => readdirSync(tasks).every((task) => isStopped(`${tasks}/${task}/stat`)));
}

/** The state is the letter after the name, which stands in parentheses (proc(5)). */
function isStopped(file: string): boolean {
  return /\) T [^)]*$/.test(readFileSync(file, 'utf8'));
}
