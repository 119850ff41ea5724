import { pause } from './link.ts';

/** The first pause and the longest one. Each is doubled, and up to half of it is random. */
const FIRST_MS = 10;
const LAST_MS = 160;

/** The time that one append has, and the pauses between its attempts. */
export class RetryBudget {
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #pauseMs = FIRST_MS;

  /** @param signal ends a pause; the append is then over */
  constructor(timeoutMs: number, signal?: AbortSignal) {
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#signal = signal;
  }

  /** What is left, in ms; at least 1, so that a request may have it as its time-out. */
  get leftMs(): number {
    return Math.max(1, this.#deadlineMs - performance.now());
  }

  /**
   * Pauses before the next attempt. The random part keeps publishers of one topic apart.
   *
   * @returns `false`, at once, where no time is left for another attempt
   */
  async pause(): Promise<boolean> {
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    if (this.leftMs <= pauseMs || this.#signal?.aborted) return false;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_MS);
    await pause(pauseMs, this.#signal).catch(() => undefined);
    return !this.#signal?.aborted;
  }
}
