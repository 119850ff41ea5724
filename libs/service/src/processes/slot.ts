import cluster, { type Worker } from 'node:cluster';
import { Sums } from './counts.ts';
import { type Place, placeVariables, type ToParent, type ToProcess } from './messages.ts';

const RESTART_DELAY_MS = 1000;
const RESTART_DELAY_MS_MAX = 30_000;

/** After this time a process counts as healthy, and its next restart is quick again. */
const WELL_AFTER_MS = 60_000;

/** How long to wait before the next start. @param deaths one after another, at least 1 */
export function restartDelayMs(deaths: number): number {
  return Math.min(RESTART_DELAY_MS * 2 ** (deaths - 1), RESTART_DELAY_MS_MAX);
}

/** What a slot tells the parent. */
export interface SlotListener {
  received(slot: Slot, message: ToParent): void;
  /** @param reason such as `code 1` or `SIGKILL` */
  ended(slot: Slot, reason: string, code: number): void;
}

/** One of the places for a process; the process in it may die, and another takes its place. */
export class Slot {
  /** From 1. */
  readonly number: number;
  readonly #count: number;
  /** What its process holds of shared limits. */
  readonly held = new Sums();
  /** Whether its process listens. */
  started = false;
  ready = false;
  /** Whether a process died here, and none has been ready since. */
  lost = false;
  readonly #listener: SlotListener;
  #worker: Worker | undefined;
  #forkedMs = 0;
  #deaths = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor({ number, count }: Omit<Place, 'successor'>, listener: SlotListener) {
    this.number = number;
    this.#count = count;
    this.#listener = listener;
  }

  get running(): boolean {
    return this.#worker !== undefined;
  }

  /** Starts its process. */
  fork(): void {
    this.#forkedMs = Date.now();
    const place = { number: this.number, count: this.#count, successor: this.lost };
    const worker = cluster.fork(placeVariables(place));
    this.#worker = worker;
    // What a dead process has sent may come after its end.
    worker.on('message', (message: ToParent) => {
      if (this.#worker === worker) this.#listener.received(this, message);
    });
    // The process may end before it has read what it was sent.
    worker.on('error', () => {});
    worker.process.once('exit', (code, signal) => {
      this.#worker = undefined;
      this.started = false;
      this.ready = false;
      this.lost = true;
      this.#listener.ended(this, signal ?? `code ${code}`, code ?? 1);
    });
  }

  /** Starts a process again after a pause that grows with the deaths. @returns the pause, in ms */
  forkLater(): number {
    if (Date.now() - this.#forkedMs >= WELL_AFTER_MS) this.#deaths = 0;
    this.#deaths++;
    const delayMs = restartDelayMs(this.#deaths);
    this.#restart = setTimeout(() => this.fork(), delayMs);
    return delayMs;
  }

  send(message: ToProcess): void {
    if (this.#worker?.isConnected()) this.#worker.process.send(message, undefined, {}, () => {});
  }

  /** Has its process end in order, and starts none again. */
  stop(): void {
    clearTimeout(this.#restart);
    // Windows has no signals. A process that sees its channel close ends in order.
    if (process.platform === 'win32') this.#worker?.process.disconnect();
    else this.signal('SIGTERM');
  }

  signal(signal: NodeJS.Signals): void {
    this.#worker?.process.kill(signal);
  }
}
