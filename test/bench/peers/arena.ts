import { loadavg } from 'node:os';
import type { FleetPlan } from '../load/fleet.ts';
import type { LoadCommands } from '../load/load.ts';
import type { PublisherCommands } from '../publisher/publisher.ts';
import { Worker } from '../system/commands.ts';
import { cpuMs, machineCpuMs, processTree, residentBytes } from '../system/process-figures.ts';
import type { Needs, RunningSystem, System } from './systems/system.ts';

/** What a system used during a measurement. */
export interface Used {
  /** CPU seconds of the processes that write to clients. */
  readonly serving: number;
  /** CPU seconds of all processes of the system. */
  readonly whole: number;
  /** CPU seconds of each other part, by its name. */
  readonly parts: Readonly<Record<string, number>>;
  readonly wallSeconds: number;
  /** Cores that the clients and the publishers took. */
  readonly loadCores: number;
  readonly publisherCores: number;
  /** Cores that anything else on the machine took. */
  readonly otherCores: number;
  readonly loadAverage: number;
}

/** One system, alone on the machine with its clients and its publishers, each in a process. */
export class Arena {
  readonly system: RunningSystem;
  readonly load: Worker<LoadCommands>;
  readonly publisher: Worker<PublisherCommands>;

  private constructor(
    system: RunningSystem,
    load: Worker<LoadCommands>,
    publisher: Worker<PublisherCommands>,
  ) {
    this.system = system;
    this.load = load;
    this.publisher = publisher;
  }

  static async open(system: System, needs: Needs): Promise<Arena> {
    const running = await system.start(needs);
    try {
      const load = await Worker.start<LoadCommands>(new URL('../load/load.ts', import.meta.url));
      const file = new URL('../publisher/publisher.ts', import.meta.url);
      return new Arena(running, load, await Worker.start<PublisherCommands>(file));
    } catch (error) {
      await running.stop();
      throw error;
    }
  }

  /** The plan of clients, with what is the same in most cases. */
  clients(
    plan: Pick<FleetPlan, 'clients' | 'topics' | 'eventBytes'> & Partial<FleetPlan>,
  ): FleetPlan {
    return {
      ...this.system.access,
      timed: false,
      check: 'series',
      until: 'liveUs',
      timeoutMs: 120_000,
      ...plan,
    };
  }

  /** Measures what everything uses until the returned function is called. */
  measure(): () => Used {
    const before = this.#figures();
    const beganMs = performance.now();
    return () => {
      const after = this.#figures();
      const wallSeconds = (performance.now() - beganMs) / 1000;
      const grown = (of: (figures: Figures) => number) => (of(after) - of(before)) / 1000;
      const names = Object.keys(after.parts);
      const parts = Object.fromEntries(
        names.map((name) => [name, grown(({ parts }) => parts[name] ?? 0)]),
      );
      const serving = grown((figures) => figures.serving);
      const own = grown((figures) => figures.own);
      return {
        serving,
        whole: serving + Object.values(parts).reduce((sum, seconds) => sum + seconds, 0),
        parts,
        wallSeconds,
        loadCores: grown((figures) => figures.load) / wallSeconds,
        publisherCores: grown((figures) => figures.publisher) / wallSeconds,
        otherCores: Math.max(0, grown((figures) => figures.machine) - own) / wallSeconds,
        loadAverage: loadavg()[0] ?? Number.NaN,
      };
    };
  }

  /** Resident bytes of the processes that write to clients. */
  residentBytes(): number {
    return this.system.serving
      .flatMap(processTree)
      .reduce((sum, pid) => sum + residentBytes(pid), 0);
  }

  async close(): Promise<void> {
    await this.load.stop();
    await this.publisher.stop();
    await this.system.stop();
  }

  #figures(): Figures {
    const { serving, others } = this.system;
    return {
      machine: machineCpuMs(),
      own: cpuOf([process.pid]),
      serving: cpuOf(serving),
      parts: Object.fromEntries(Object.entries(others).map(([name, pids]) => [name, cpuOf(pids)])),
      load: cpuMs(this.load.pid),
      publisher: cpuMs(this.publisher.pid),
    };
  }
}

/** In milliseconds of CPU time. */
interface Figures {
  readonly machine: number;
  readonly own: number;
  readonly serving: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly load: number;
  readonly publisher: number;
}

function cpuOf(pids: readonly number[]): number {
  return pids.flatMap(processTree).reduce((sum, pid) => sum + cpuMs(pid), 0);
}
