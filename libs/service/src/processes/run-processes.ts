import cluster from 'node:cluster';
import { type ListenOptions, requireFree } from '@tidemark/http';
import { type Logger, Metrics } from '@tidemark/telemetry';
import { Collections } from './collections.ts';
import type { ToParent, ToProcess } from './messages.ts';
import { Slot } from './slot.ts';

/** How long after a process should have ended it is killed, in ms. */
const KILL_RESERVE_MS = 1000;

/** The processes of a service. */
export interface ProcessesOptions {
  /** The service. */
  readonly name: string;
  /** At least 2. */
  readonly count: number;
  /** Where they listen. */
  readonly addresses: readonly ListenOptions[];
  /** How long the stop of one may take. */
  readonly stopMs: number;
  readonly logger: Logger;
}

/**
 * Runs a service as several processes that share its ports, and itself as their parent, which serves nobody.
 *
 * The first one starts alone, so that what is wrong is told once. A process that ends before all have been ready
 * ends the parent with its code. Later one that dies is started again, after 1 s at first and 30 s at most.
 * SIGTERM and SIGINT, or the end of the parent's own parent, stop all, and SIGUSR2 reaches all. When the parent is
 * killed, its processes stop in order.
 *
 *     first alone --it listens--> all starting --all ready--> serving --signal--> stopping --all ended--> exited
 *
 * @throws ConfigurationError when an address is in use
 */
export async function runProcesses(options: ProcessesOptions): Promise<void> {
  for (const address of options.addresses) await requireFree(address);
  new Parent(options).start();
}

class Parent {
  readonly #options: ProcessesOptions;
  readonly #slots: readonly Slot[];
  readonly #metrics: Metrics;
  readonly #collections = new Collections();
  #complete = false;
  #stopping = false;
  #code = 0;
  #deaths = 0;

  constructor(options: ProcessesOptions) {
    this.#options = options;
    const { name, count } = options;
    const listener = {
      received: (slot: Slot, message: ToParent) => this.#receive(slot, message),
      ended: (slot: Slot, reason: string, code: number) => this.#ended(slot, reason, code),
    };
    this.#slots = Array.from({ length: count }, (_, index) => {
      return new Slot({ number: index + 1, count }, listener);
    });
    this.#metrics = new Metrics(name, { process: 'parent' });
    this.#metrics.gauge('processes', 'Processes that listen on the ports of the service.', () => {
      return this.#slots.filter(({ started }) => started).length;
    });
    this.#metrics.gauge('processes_ready', 'Those of them that are ready.', () => {
      return this.#slots.filter(({ ready }) => ready).length;
    });
    this.#metrics.total('process_deaths_total', 'Processes that ended by themselves.', () => {
      return this.#deaths;
    });
  }

  start(): void {
    cluster.setupPrimary({ silent: false });
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => this.#stop(name));
    process.on('SIGUSR2', () => {
      for (const slot of this.#slots) slot.signal('SIGUSR2');
    });
    process.on('disconnect', () => this.#stop('parent gone'));
    if (process.connected === false) this.#stop('parent gone');
    else this.#slots[0]?.fork();
  }

  #receive(from: Slot, message: ToParent): void {
    const others = this.#others(from);
    if (message.is === 'counted') {
      from.held.addAll(message.held);
      tell(others, message);
    } else if (message.is === 'started') {
      this.#started(from, others);
    } else if (message.is === 'ready') {
      from.ready = message.ready;
      if (message.ready) from.lost = false;
      this.#complete ||= this.#slots.every(({ ready }) => ready);
      this.#tellReady();
    } else if (message.is === 'metrics') {
      this.#collections.add(from, message.id, message.text);
    } else {
      void this.#collect(from, message.id);
    }
  }

  #others(one: Slot): Slot[] {
    return this.#slots.filter((slot) => slot !== one);
  }

  #started(slot: Slot, others: readonly Slot[]): void {
    slot.started = true;
    for (const { held } of others) slot.send({ is: 'counted', held: held.changes(), used: [] });
    slot.send({ is: 'others', ready: this.#areReady(others) });
    if (!this.#stopping && !this.#complete) {
      for (const other of others) if (!other.running) other.fork();
    }
  }

  /** One that died leaves its connections to the others, so it is not waited for until it is ready again. */
  #areReady(slots: readonly Slot[]): boolean {
    return slots.every(({ ready, lost }) => ready || (lost && this.#complete));
  }

  #tellReady(): void {
    for (const slot of this.#slots) {
      slot.send({ is: 'others', ready: this.#areReady(this.#others(slot)) });
    }
  }

  async #collect(asker: Slot, id: number): Promise<void> {
    const own = await this.#metrics.registry.metrics();
    this.#collections.begin({ asker, id, others: this.#others(asker), own });
  }

  #ended(slot: Slot, reason: string, code: number): void {
    const released = slot.held.changes(-1);
    slot.held.clear();
    this.#collections.leaveOut(slot);
    if (this.#stopping) {
      if (code !== 0) this.#code = 1;
      this.#exitWhenAllEnded();
      return;
    }
    this.#deaths++;
    const about = { process: slot.number, reason };
    if (!this.#complete) {
      // What is wrong the process has said itself.
      this.#options.logger.debug(about, 'a process ended during the start');
      this.#code = code || 1;
      this.#stop('a process ended during the start');
      return;
    }
    tell(this.#others(slot), { is: 'counted', held: released, used: [] });
    this.#tellReady();
    const restartMs = slot.forkLater();
    this.#options.logger.error({ ...about, restartMs }, 'a process ended and starts again');
  }

  #stop(reason: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#options.logger.info({ reason }, 'stopping all processes');
    for (const slot of this.#slots) slot.stop();
    setTimeout(() => {
      this.#options.logger.error('processes that do not end are killed');
      this.#code = 1;
      for (const slot of this.#slots) slot.signal('SIGKILL');
    }, this.#options.stopMs + KILL_RESERVE_MS);
    this.#exitWhenAllEnded();
  }

  #exitWhenAllEnded(): void {
    if (this.#slots.every(({ running }) => !running)) process.exit(this.#code);
  }
}

/** Tells those that listen. The others are told all that is held when they do. */
function tell(slots: readonly Slot[], message: ToProcess): void {
  for (const slot of slots) if (slot.started) slot.send(message);
}
