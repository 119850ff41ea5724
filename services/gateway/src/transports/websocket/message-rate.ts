/** Refused messages in a row, without a second's calm, after which a client is sent away. */
export const REFUSALS_MAX = 100;

const SECOND_MS = 1000;

export type Verdict =
  | 'accepted'
  /** Too fast. */
  | 'refused'
  /** Too fast for too long. */
  | 'exceeded';

/**
 * How fast one connection may send: a second's worth at once, and refilled evenly. A few numbers in
 * the connection, because it is asked for every message, at once, and a keyed limiter would hold a
 * timer for each of a hundred thousand connections.
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
