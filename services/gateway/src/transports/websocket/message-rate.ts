/** Refusals, with less than a second between each, after which the connection is closed. */
export const REFUSALS_MAX = 100;

const SECOND_MS = 1000;

export type Verdict =
  | 'accepted'
  /** The message is above the rate. */
  | 'refused'
  /** Messages have been above the rate for too long. */
  | 'exceeded';

/**
 * The message rate of one connection, as a token bucket: it holds the messages of one second, and
 * refills evenly. It is a few numbers in the connection, because every message asks it synchronously.
 * A keyed limiter would hold a timer for each of a hundred thousand connections.
 */
export class MessageRate {
  readonly #perSecondMax: number;
  #left: number;
  #atMs: number;
  #refusals = 0;
  #refusedMs = 0;

  constructor(perSecondMax: number, nowMs: number) {
    this.#perSecondMax = perSecondMax;
    this.#left = perSecondMax;
    this.#atMs = nowMs;
  }

  /** Counts a message that arrives now. */
  countMessage(nowMs: number): Verdict {
    const refill = ((nowMs - this.#atMs) / SECOND_MS) * this.#perSecondMax;
    this.#left = Math.min(this.#perSecondMax, this.#left + refill);
    this.#atMs = nowMs;
    if (this.#left >= 1) {
      this.#left--;
      return 'accepted';
    }
    if (nowMs - this.#refusedMs >= SECOND_MS) this.#refusals = 0;
    this.#refusedMs = nowMs;
    this.#refusals++;
    return this.#refusals > REFUSALS_MAX ? 'exceeded' : 'refused';
  }
}
