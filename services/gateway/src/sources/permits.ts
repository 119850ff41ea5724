/** Who waits for a permit, and what tells that it does so no longer. */
export interface Applicant {
  /** The owners that wait take turns, however many reads each of them has. */
  readonly owner: object;
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
}

/**
 * Permits: bounds how many reads are in progress at once. The others wait, without holding memory.
 *
 * A read that is given up leaves the queue, or returns its permit at once. It may still occupy the
 * service that it asked, so at most as many such reads as there are permits run beside the others. A
 * further one keeps its permit until it has ended.
 */
export class Permits {
  readonly #max: number;
  /** By owner, in the order of their turns. */
  readonly #queues = new Map<object, (() => void)[]>();
  #used = 0;
  #givenUp = 0;
  #waiting = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Runs a read with a permit, and waits for one where all are used.
   *
   * @throws the signal's reason as soon as it is aborted
   */
  async use<T>({ owner, signal }: Applicant, read: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#used < this.#max) this.#used++;
    else await this.#wait(owner, signal);
    return this.#run(signal, read);
  }

  #wait(owner: object, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const queue = this.#queues.get(owner)?.filter((one) => one !== enter) ?? [];
        if (queue.length > 0) this.#queues.set(owner, queue);
        else this.#queues.delete(owner);
        this.#waiting--;
        reject(signal.reason);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        this.#waiting--;
        resolve();
      };
      const queue = this.#queues.get(owner);
      if (queue) queue.push(enter);
      else this.#queues.set(owner, [enter]);
      this.#waiting++;
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #run<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let finish = (): void => this.#release();
      const giveUp = (): void => {
        reject(signal.reason);
        if (this.#givenUp >= this.#max) return;
        this.#givenUp++;
        finish = () => this.#givenUp--;
        this.#release();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      // The signal may have been aborted in the moment in which the permit came.
      if (signal.aborted) giveUp();
      const running = signal.aborted ? Promise.reject(signal.reason) : read();
      running.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', giveUp);
        finish();
      });
    });
  }

  /** The first read of the next owner gets the permit; without one the permit becomes free. */
  #release(): void {
    const [next] = this.#queues;
    if (!next) {
      this.#used--;
      return;
    }
    const [owner, queue] = next;
    this.#queues.delete(owner);
    const enter = queue.shift();
    if (queue.length > 0) this.#queues.set(owner, queue);
    enter?.();
  }
}
