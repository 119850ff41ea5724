import { type AppendClock, PROCESS_CLOCK } from './append-clock.ts';

/** The first pause and the longest one. Each is doubled, and up to half of it is random. */
const FIRST_MS = 10;
const LAST_MS = 160;

/** The time that one append has, and the pauses between its attempts. */
export class RetryBudget {
  readonly #clock: AppendClock;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #pauseMs = FIRST_MS;

  /**
   * @param signal ends a pause; the append is then over
   * @param clock the process's own if absent
   */
  constructor(timeoutMs: number, signal?: AbortSignal, clock = PROCESS_CLOCK) {
    this.#clock = clock;
    this.#deadlineMs = clock.nowMs() + timeoutMs;
    this.#signal = signal;
  }

  /** A budget of the same time with pauses of its own, for one of several appends. */
  fork(): RetryBudget {
    return new RetryBudget(this.#deadlineMs - this.nowMs, this.#signal, this.#clock);
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** What is left, in ms; at least 1, so that a request may have it as its time-out. */
  get leftMs(): number {
    return Math.max(1, this.#deadlineMs - this.#clock.nowMs());
  }

  /** Whether no time is left at all. */
  get spent(): boolean {
    return this.#signal?.aborted === true || this.#clock.nowMs() >= this.#deadlineMs;
  }

  /**
   * Pauses before the next attempt. The random part keeps publishers of one topic apart.
   *
   * @returns `false`, at once, where no time is left for another attempt
   */
  async pause(): Promise<boolean> {
    const pauseMs = this.#pauseMs * (0.5 + this.#clock.random() / 2);
    if (this.leftMs <= pauseMs || this.#signal?.aborted) return false;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_MS);
    await this.#clock.pause(pauseMs, this.#signal).catch(() => undefined);
    return !this.#signal?.aborted;
  }
}
