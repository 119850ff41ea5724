import { FairQueue, type Flow } from './fair-queue.ts';

/** How steps are run. */
export interface StepsOptions {
  /** A monotonic clock: work costs the time that it takes. */
  readonly nowMs: () => number;
  /** Runs something once the loop has looked at its sockets. */
  readonly soon: (run: () => void) => void;
  /** Runs something once all has run that waits for promises which are settled; `soon` does if absent. */
  readonly settled?: (run: () => void) => void;
}

/** The loop of the process. */
export const EVENT_LOOP: StepsOptions = {
  nowMs: () => performance.now(),
  soon: setImmediate,
  // A tick runs before the next microtask does, unless it was asked for by one: then all of them are run first.
  settled: (run) => queueMicrotask(() => process.nextTick(run)),
};

/** Whose step it is, and what tells that nobody wants it any more. */
export interface StepOwner {
  readonly flow: Flow;
  /** Aborted when nobody wants the result any more. Absent: it is always wanted. */
  readonly signal?: AbortSignal;
}

/** The time that a user's work may take before the next user's. */
const QUANTUM_MS = 5;

/** After this time the loop looks at its sockets. Work that was begun is not interrupted. */
const SLICE_MS = 5;

/**
 * Steps: short synchronous work of several users, one step after the other from a fair queue. Answers leave between
 * the steps of two users, and after a slice of time the loop looks at its sockets. A user with much to do delays another one by a quantum and by the longest step.
 */
export class Steps {
  readonly #options: StepsOptions;
  readonly #queue = new FairQueue<() => void>(QUANTUM_MS);
  #scheduled = false;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** The steps that wait, of all users. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Does the work of a step when its user is next.
   *
   * @throws what the work throws, or the signal's reason as soon as it is aborted
   */
  run<T>(work: () => T, { flow, signal }: StepOwner): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const leave = (): void => {
        this.#queue.remove(enter, flow);
        reject(signal?.reason);
      };
      const enter = (): void => {
        signal?.removeEventListener('abort', leave);
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      this.#queue.add(enter, flow);
      signal?.addEventListener('abort', leave, { once: true });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.soon(() => this.#work(this.#options.nowMs() + SLICE_MS));
  }

  #work(endMs: number): void {
    this.#scheduled = false;
    const { nowMs, settled } = this.#options;
    let now = nowMs();
    while (now < endMs) {
      const next = this.#queue.take();
      if (!next) return;
      next.item();
      const since = now;
      now = nowMs();
      this.#queue.charge(next.flow, now - since);
      if (this.#queue.nextUser === next.flow.user) continue;
      // What was done for one user leaves before another one's step begins, or asks for its own next step.
      if (!settled || now >= endMs) break;
      this.#scheduled = true;
      settled(() => this.#work(endMs));
      return;
    }
    if (this.#queue.size > 0) this.#schedule();
  }
}
