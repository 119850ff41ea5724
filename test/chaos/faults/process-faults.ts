import { setTimeout as sleep } from 'node:timers/promises';
import type { Process } from '../world/processes.ts';
import type { PlannedFault } from './plan.ts';

/** How long a rolling restart waits for the first before it goes on: not until it is well. */
const ROLLING_PAUSE_MS = 1500;

/** By how much archives come back later than other processes of their machines: gateways read the stream. */
const ARCHIVES_LATER_MS = 3000;

/** Ends or stops processes, and starts them again after a time. */
export async function breakProcesses(
  processes: readonly Process[],
  fault: PlannedFault['fault'],
  lastsMs: number,
): Promise<void> {
  if (fault === 'rolling') {
    for (const process of processes) {
      await process.end('SIGTERM');
      await process.start();
      await sleep(ROLLING_PAUSE_MS);
    }
    return;
  }
  if (fault === 'stop') {
    await Promise.all(processes.map((process) => process.freeze()));
    await sleep(lastsMs);
    for (const process of processes) process.thaw();
    return;
  }
  const signal = fault === 'terminate' ? 'SIGTERM' : 'SIGKILL';
  await Promise.all(processes.map((process) => process.end(signal)));
  await sleep(lastsMs);
  const archives = fault === 'machines' ? processes.filter(({ part }) => part === 'replay') : [];
  const others = processes.filter((process) => !archives.includes(process));
  await Promise.all(others.map((process) => process.start()));
  if (archives.length > 0) await sleep(ARCHIVES_LATER_MS);
  await Promise.all(archives.map((process) => process.start()));
}
