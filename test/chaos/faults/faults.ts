import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorder } from '../recorder.ts';
import type { Link } from '../world/link.ts';
import { isRunning, type Process } from '../world/processes.ts';
import type { World } from '../world/world.ts';
import type { PlannedFault } from './plan.ts';

const DELAY_MS = 300;

/** How long a rolling restart waits for the first before it goes on: not until it is well. */
const ROLLING_PAUSE_MS = 1500;

/** Makes faults happen, mends what they broke, and records both. */
export class Faults {
  readonly #world: World;
  readonly #recorder: Recorder;
  readonly #busy = new Set<string>();
  #number = 0;
  /** What ended by itself, which no fault explains. */
  readonly crashes: string[] = [];

  constructor(world: World, recorder: Recorder) {
    this.#world = world;
    this.#recorder = recorder;
  }

  /** Makes all faults of a plan happen at their times. Resolves when the last one is mended. */
  async run(plan: readonly PlannedFault[]): Promise<void> {
    const beganMs = performance.now();
    const running: Promise<void>[] = [];
    for (const fault of plan) {
      await sleep(Math.max(0, beganMs + fault.atMs - performance.now()));
      running.push(this.#happen(fault));
    }
    await Promise.all(running);
  }

  /** Starts again what has ended by itself, as a supervisor does. */
  async supervise(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const process of this.#world.processes) {
        if (this.#busy.has(process.name) || isRunning(process.pid)) continue;
        this.crashes.push(
          `${process.name} ended by itself: ${this.#world.logs(process.name).at(-1)}`,
        );
        await this.#record('crash', process.name, () => process.start());
      }
      await sleep(500, undefined, { signal }).catch(() => {});
    }
  }

  async #happen({ fault, targets, lastsMs }: PlannedFault): Promise<void> {
    const link = this.#world.links.find(({ name }) => name === targets[0]);
    if (link) {
      await this.#record(fault, link.name, () => breakLink(link, fault, lastsMs));
      return;
    }
    const named = await Promise.all(targets.map((name) => this.#resolve(name)));
    const processes = named.filter((process) => !this.#busy.has(process.name));
    if (processes.length === 0) return;
    for (const { name } of processes) this.#busy.add(name);
    const target = processes.map(({ name }) => name).join(' ');
    try {
      await this.#record(fault, target, () => breakProcesses(processes, fault, lastsMs));
    } finally {
      for (const { name } of processes) this.#busy.delete(name);
    }
  }

  async #resolve(name: string): Promise<Process> {
    const { nats, processes } = this.#world;
    const wanted = name === 'leader' ? await nats.leader() : name;
    return processes.find((process) => process.name === wanted) ?? (nats.processes[0] as Process);
  }

  async #record(fault: string, target: string, happen: () => Promise<void>): Promise<void> {
    const number = ++this.#number;
    this.#recorder.record({ kind: 'fault', number, fault, target, phase: 'begin' });
    await happen();
    this.#recorder.record({ kind: 'fault', number, fault, target, phase: 'end' });
  }
}

async function breakProcesses(
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
  const signal = fault === 'kill' ? 'SIGKILL' : 'SIGTERM';
  await Promise.all(processes.map((process) => process.end(signal)));
  await sleep(lastsMs);
  await Promise.all(processes.map((process) => process.start()));
}

async function breakLink(link: Link, fault: PlannedFault['fault'], lastsMs: number): Promise<void> {
  if (fault === 'delay') link.delay(DELAY_MS);
  else if (fault === 'cut') link.set('cut');
  else if (fault === 'half-open') link.set('silent');
  else link.set(lastsMs % 2 === 0 ? 'deaf' : 'mute');
  await sleep(lastsMs);
  link.delay(0);
  link.set('open');
}
