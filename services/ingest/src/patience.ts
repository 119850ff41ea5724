/** How long a request may wait for its turns, from its creation on. What is done for the request itself is no wait. */
export class Patience {
  readonly #waitMsMax: number;
  readonly #nowMs: () => number;
  readonly #begunMs: number;
  #ownMs = 0;

  /** @param nowMs the process's own clock if absent */
  constructor(waitMsMax: number, nowMs = () => performance.now()) {
    this.#waitMsMax = waitMsMax;
    this.#nowMs = nowMs;
    this.#begunMs = nowMs();
  }

  /** How long it has waited, in ms; no more than it may. */
  get waitedMs(): number {
    return Math.min(this.#nowMs() - this.#begunMs - this.#ownMs, this.#waitMsMax);
  }

  /** How long it may still wait, in ms; 0 at the end. */
  get leftMs(): number {
    return this.#waitMsMax - this.waitedMs;
  }

  /** Does work of the request, whose time does not count. */
  pausedFor<T>(work: () => T): T {
    const startMs = this.#nowMs();
    try {
      return work();
    } finally {
      this.#ownMs += this.#nowMs() - startMs;
    }
  }
}
