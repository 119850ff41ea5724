import { FairQueue, type Flow } from './fair-queue.ts';

/** Who waits for a permit, and what tells that it does so no longer. */
export interface Applicant {
  readonly flow: Flow;
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
}

/** How many permits there are, and how their use is measured. */
export interface PermitsOptions {
  /** Most permits in use at once. */
  readonly max: number;
  /** A monotonic clock: what a permit costs is the time for which it is held. */
  readonly nowMs: () => number;
}

/** The time that a user may hold permits before the next user, and what a permit is taken to cost at first. */
const QUANTUM_MS = 10;

/**
 * Permits: bounds how much work is in progress at once. The rest waits in a fair queue, without holding
 * memory of its own.
 *
 * Work that is given up leaves the queue, or returns its permit at once. It may still occupy the service
 * that it asked, so at most as much such work as there are permits runs beside the others. Further work
 * keeps its permit until it has ended.
 */
export class Permits {
  readonly #options: PermitsOptions;
  readonly #queue = new FairQueue<() => void>(QUANTUM_MS);
  #used = 0;
  #givenUp = 0;

  constructor(options: PermitsOptions) {
    this.#options = options;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Does the work with a permit, and waits for one where all are used.
   *
   * @throws the signal's reason as soon as it is aborted
   */
  async use<T>({ flow, signal }: Applicant, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#used < this.#options.max) {
      this.#used++;
      this.#queue.charge(flow, QUANTUM_MS);
    } else await this.#wait(flow, signal);
    return this.#run({ flow, signal }, work);
  }

  #wait(flow: Flow, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#queue.remove(enter, flow);
        reject(signal.reason);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#queue.add(enter, flow);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #run<T>({ flow, signal }: Applicant, work: () => Promise<T>): Promise<T> {
    const { max, nowMs } = this.#options;
    const startMs = nowMs();
    return new Promise((resolve, reject) => {
      let finish = (): void => this.#release();
      const giveUp = (): void => {
        reject(signal.reason);
        if (this.#givenUp >= max) return;
        this.#givenUp++;
        finish = () => this.#givenUp--;
        this.#release();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      // The signal may have been aborted in the moment in which the permit came.
      if (signal.aborted) giveUp();
      const running = signal.aborted ? Promise.reject(signal.reason) : work();
      running.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', giveUp);
        this.#queue.charge(flow, nowMs() - startMs - QUANTUM_MS);
        finish();
      });
    });
  }

  /** Whoever is next gets the permit; without anybody it becomes free. */
  #release(): void {
    const next = this.#queue.take();
    if (!next) {
      this.#used--;
      return;
    }
    // The cost is known at the end only. Until then it counts as a quantum, so that others come next.
    this.#queue.charge(next.flow, QUANTUM_MS);
    next.item();
  }
}
