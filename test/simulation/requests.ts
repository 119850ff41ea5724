import type { Random } from './random.ts';

interface Request {
  readonly what: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Messages between processes that are under way; the simulation decides when which one arrives. */
export class Requests {
  readonly #random: Random;
  #underWay: Request[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  get count(): number {
    return this.#underWay.length;
  }

  /** One way of a message. Rejects when it is lost. */
  hop(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#underWay.push({ what, resolve, reject });
    });
  }

  /** Any of them arrives, not always the oldest. @returns which */
  arrive(): string {
    const { what, resolve } = this.#random.removeAny(this.#underWay);
    resolve();
    return what;
  }

  lose(): string {
    const { what, reject } = this.#random.removeAny(this.#underWay);
    reject(new Error('No answer in time.'));
    return what;
  }

  loseAll(): void {
    const lost = this.#underWay;
    this.#underWay = [];
    for (const { reject } of lost) reject(new Error('The connection was lost.'));
  }
}
