import { setTimeout as sleep } from 'node:timers/promises';
import type { SmallDisk } from '../../support/small-disk.ts';
import type { NatsProcess } from '../world/nats.ts';
import type { Process } from '../world/processes.ts';

const READY_MS = 30_000;
const POLL_MS = 200;

/** Waits for a while until all are ready. @returns whether they are */
export async function areReady(processes: readonly Process[]): Promise<boolean> {
  const deadlineMs = performance.now() + READY_MS;
  for (;;) {
    const states = await Promise.all(processes.map((process) => process.isReady()));
    if (states.every((isReady) => isReady)) return true;
    if (performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
}

/**
 * The servers lose what they stored in the last `lostMs`, as when the power goes and nothing was synced, or
 * when a backup is restored.
 */
export async function losePower(servers: readonly NatsProcess[], lostMs: number): Promise<void> {
  await save(servers);
  await sleep(lostMs);
  await restore(servers);
}

/** One server comes back with a disk of some time ago, while the others have everything. */
export async function returnOldDisk(
  servers: readonly NatsProcess[],
  lostMs: number,
  areAllReady: () => Promise<boolean>,
): Promise<void> {
  if (!(await areAllReady())) return;
  await save(servers);
  await sleep(lostMs);
  if (!(await areAllReady())) return;
  await restore(servers);
  await areAllReady();
}

/** Fills the disk of a process. nats-server 2.15 may store nothing afterwards until it is started again. */
export async function fillDisk(process: Process, disk: SmallDisk, lastsMs: number): Promise<void> {
  await disk.fill(0);
  await sleep(lastsMs);
  await disk.free();
  if (process.part !== 'nats') return;
  await process.end('SIGTERM');
  await process.start();
}

/** All stand still meanwhile, so that the copies are of one moment. */
async function save(servers: readonly NatsProcess[]): Promise<void> {
  await Promise.all(servers.map((server) => server.freeze()));
  await Promise.all(servers.map((server) => server.saveStore()));
  for (const server of servers) server.thaw();
}

async function restore(servers: readonly NatsProcess[]): Promise<void> {
  await Promise.all(servers.map((server) => server.end('SIGKILL')));
  await Promise.all(servers.map((server) => server.restoreStore()));
  await Promise.all(servers.map((server) => server.start()));
}
