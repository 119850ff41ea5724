import { FairQueue, type Flow } from './fair-queue.ts';

/** How steps are run. */
export interface StepsOptions {
  /** A monotonic clock: work costs the time that it takes. */
  readonly nowMs: () => number;
  /** Runs something once the loop has looked at its sockets. */
  readonly soon: (run: () => void) => void;
}

/** Whose step it is, and what tells that nobody wants it any more. */
export interface StepOwner {
  readonly flow: Flow;
  /** Aborted when nobody wants the result any more. Absent: it is always wanted. */
  readonly signal?: AbortSignal;
}

/** The time that a user's work may take before the next user's. */
const QUANTUM_MS = 5;

/** After this time, or before the next user's step, the loop looks at its sockets. Work that was begun is not interrupted. */
const SLICE_MS = 5;

/**
 * Steps: short synchronous work of several users, one step after the other from a fair queue. Between them
 * the loop reads its sockets. A user with much to do delays another one by a quantum and by the longest step.
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
    this.#options.soon(() => this.#work());
  }

  #work(): void {
    this.#scheduled = false;
    const { nowMs } = this.#options;
    let now = nowMs();
    const endMs = now + SLICE_MS;
    do {
      const next = this.#queue.take();
      if (!next) return;
      next.item();
      const since = now;
      now = nowMs();
      this.#queue.charge(next.flow, now - since);
      // What was done for one user leaves before another one's step begins.
      if (this.#queue.nextUser !== next.flow.user) break;
    } while (now < endMs);
    if (this.#queue.size > 0) this.#schedule();
  }
}
