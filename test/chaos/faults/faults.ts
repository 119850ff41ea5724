import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorder } from '../recorder.ts';
import type { Link } from '../world/link.ts';
import type { NatsProcess } from '../world/nats.ts';
import { isRunning, type Process } from '../world/processes.ts';
import type { World } from '../world/world.ts';
import { loseArchive } from './archive-faults.ts';
import { areReady, fillDisk, losePower, returnOldDisk } from './disk-faults.ts';
import { breakLink } from './link-faults.ts';
import type { PlannedFault } from './plan.ts';
import { breakProcesses } from './process-faults.ts';
import { type Removed, shrinkStream } from './retention.ts';

/** Which part of the log a fault may lose for good. */
const LOSES: Readonly<Record<string, 'end' | 'start'>> = {
  'power-loss': 'end',
  retention: 'start',
};

/**
 * Faults of disks, which spare all of NATS meanwhile. Two of three servers that lost events could agree on
 * others, while the third one is away.
 */
const ALONE: ReadonlySet<string> = new Set(['lost-archive', 'old-disk', 'power-loss']);

/** Makes faults happen, mends what they broke, and records both. */
export class Faults {
  readonly #world: World;
  readonly #recorder: Recorder;
  readonly #busy = new Set<string>();
  #number = 0;
  #streamFirst = 0;
  readonly #gone = new Set<number>();
  /** Links on which a process relies that has lost its disk. */
  readonly #quiet = new Set<Link>();
  /** What ended by itself, which no fault explains. */
  readonly crashes: string[] = [];

  constructor(world: World, recorder: Recorder) {
    this.#world = world;
    this.#recorder = recorder;
  }

  /** What retention has removed from the stream, and what of it no archive had then. */
  get removed(): Removed {
    return { streamFirst: this.#streamFirst, gone: this.#gone };
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
      if (this.#quiet.has(link)) return;
      await this.#record(fault, link.name, () => breakLink(link, fault, lastsMs));
      return;
    }
    if (fault === 'retention') await this.#shrinkStream(targets.slice(1), lastsMs);
    else await this.#breakNamed({ fault, targets, lastsMs });
  }

  /** A stream that is too small for the archives of the processes, which are away. */
  async #shrinkStream(away: readonly string[], lastsMs: number): Promise<void> {
    await Promise.all([
      this.#record('retention', 'stream', async () => {
        const { nats, replays } = this.#world;
        const archives = replays.map(({ database }) => database);
        const { streamFirst, gone } = await shrinkStream(nats, archives, lastsMs);
        this.#streamFirst = Math.max(this.#streamFirst, streamFirst);
        for (const sequence of gone) this.#gone.add(sequence);
      }),
      away.length > 0 && this.#breakNamed({ fault: 'kill', targets: away, lastsMs }),
    ]);
  }

  async #breakNamed({ fault, targets, lastsMs }: Omit<PlannedFault, 'atMs'>): Promise<void> {
    const named = await Promise.all(targets.map((name) => this.#resolve(name)));
    const processes = named.filter((process) => !this.#busy.has(process.name));
    const isAlone = ALONE.has(fault);
    const spared = isAlone ? this.#world.nats.processes : [];
    const isSpared =
      processes.length === named.length && !spared.some(({ name }) => this.#busy.has(name));
    if (processes.length === 0 || (isAlone && !isSpared)) return;
    const busy = [...processes, ...spared].map(({ name }) => name);
    for (const name of busy) this.#busy.add(name);
    const target = processes.map(({ name }) => name).join(' ');
    try {
      await this.#record(fault, target, () => this.#break(processes, fault, lastsMs));
    } finally {
      for (const name of busy) this.#busy.delete(name);
    }
  }

  async #break(
    processes: readonly Process[],
    fault: PlannedFault['fault'],
    lastsMs: number,
  ): Promise<void> {
    const servers = this.#world.nats.processes.filter(({ name }) =>
      processes.some((process) => process.name === name),
    );
    const [first] = processes;
    const disk = first && this.#world.disks.get(first.name);
    if (fault === 'power-loss') await losePower(servers, lastsMs);
    else if (fault === 'full-disk' && disk) await fillDisk(first, disk, lastsMs);
    else if (fault === 'lost-archive') await this.#loseArchive(processes, lastsMs);
    else if (fault === 'old-disk') await this.#returnOldDisk(servers, lastsMs);
    else await breakProcesses(processes, fault, lastsMs);
  }

  async #loseArchive([first, second]: readonly Process[], lastsMs: number): Promise<void> {
    const { replays } = this.#world;
    const own = replays.find(({ name }) => name === first?.name);
    const other = replays.find(({ name }) => name === second?.name);
    if (!first || !own || !other) return;
    // Whoever starts while the other archive is away cannot know of it, and tells a gap.
    await this.#quietly(
      this.#world.links.filter(({ name }) => name.startsWith('replay')),
      () => loseArchive(first, own.database, other.database, lastsMs),
    );
  }

  /** The other servers have to have everything: two copies of three that lack an event lose it. */
  async #returnOldDisk(servers: readonly NatsProcess[], lastsMs: number): Promise<void> {
    const { nats, links } = this.#world;
    await this.#quietly(
      links.filter(({ isRoute }) => isRoute),
      () => returnOldDisk(servers, lastsMs, () => areReady(nats.processes)),
    );
  }

  /** Keeps links open while something happens. */
  async #quietly(links: readonly Link[], happen: () => Promise<void>): Promise<void> {
    for (const link of links) {
      this.#quiet.add(link);
      link.delay(0);
      link.set('open');
    }
    try {
      await happen();
    } finally {
      for (const link of links) this.#quiet.delete(link);
    }
  }

  async #resolve(name: string): Promise<Process> {
    const { nats, processes } = this.#world;
    const wanted = name === 'leader' ? await nats.leader() : name;
    return processes.find((process) => process.name === wanted) ?? (nats.processes[0] as Process);
  }

  async #record(fault: string, target: string, happen: () => Promise<void>): Promise<void> {
    const number = ++this.#number;
    const loses = LOSES[fault];
    const record = { kind: 'fault', number, fault, target, ...(loses && { loses }) } as const;
    this.#recorder.record({ ...record, phase: 'begin' });
    await happen();
    this.#recorder.record({ ...record, phase: 'end' });
  }
}
