/** How much there is to share. */
export interface SharesOptions {
  /** Of all users together. */
  readonly max: number;
  /** Of one user; no more than `max` if absent. */
  readonly perUserMax?: number;
}

/**
 * Shares: bounds what users hold together, and leaves something for those who hold nothing. A user gets
 * more only while as much as it then holds stays free (dynamic thresholds: A. Choudhury and E. Hahne, 1998).
 * One user alone gets half of everything, three get a quarter each, and a quarter is then left for others.
 * Whoever holds nothing gets whatever is free.
 */
export class Shares {
  readonly #max: number;
  readonly #perUserMax: number;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor({ max, perUserMax = max }: SharesOptions) {
    this.#max = max;
    this.#perUserMax = perUserMax;
  }

  /** What all users hold. */
  get total(): number {
    return this.#total;
  }

  /** Takes for a user. @returns what was in the way, the user's maximum or everybody's; nothing was taken then */
  take(user: string, count: number): 'user' | 'all' | undefined {
    const before = this.#held.get(user) ?? 0;
    const held = before + count;
    const free = this.#max - this.#total - count;
    if (held > this.#perUserMax) return 'user';
    if (free < 0 || (before > 0 && held > free)) return 'all';
    this.#held.set(user, held);
    this.#total += count;
    return undefined;
  }

  /** Gives back what was taken. */
  give(user: string, count: number): void {
    const held = (this.#held.get(user) ?? 0) - count;
    if (held > 0) this.#held.set(user, held);
    else this.#held.delete(user);
    this.#total -= count;
  }
}
