import type { Random } from './random.ts';

interface Request {
  readonly what: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Messages in transit between processes. The simulation decides when each arrives. */
export class Requests {
  readonly #random: Random;
  #underWay: Request[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  get count(): number {
    return this.#underWay.length;
  }

  /** Sends a message one way. Resolves when it arrives, and rejects when it is lost. */
  hop(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#underWay.push({ what, resolve, reject });
    });
  }

  /** Lets one message arrive, not always the oldest. @returns its name */
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
