import { type Applicant, Permits, type PermitsOptions } from './permits.ts';

/** How many permits there are, and how many of them one user may use at once. */
export interface UserPermitsOptions extends PermitsOptions {
  readonly perUserMax: number;
}

/**
 * Permits of which one user uses a part at most, so that another one finds some free: with all of them in use, it
 * would first wait until one comes back. Further work of the user waits without a place in the queue of all.
 */
export class UserPermits {
  readonly #options: UserPermitsOptions;
  readonly #all: Permits;
  readonly #users = new Map<string, Permits>();

  constructor(options: UserPermitsOptions) {
    this.#options = options;
    this.#all = new Permits(options);
  }

  get used(): number {
    return this.#all.used;
  }

  get waiting(): number {
    let waiting = this.#all.waiting;
    for (const own of this.#users.values()) waiting += own.waiting;
    return waiting;
  }

  /**
   * Does the work with a permit, and waits for one where all, or all of the user, are used.
   *
   * @throws the signal's reason as soon as it is aborted
   */
  async use<T>(applicant: Applicant, work: () => Promise<T>): Promise<T> {
    const { user } = applicant.flow;
    const own = this.#ownOf(user);
    try {
      return await own.use(applicant, () => this.#all.use(applicant, work));
    } finally {
      if (own.used + own.waiting === 0) this.#users.delete(user);
    }
  }

  #ownOf(user: string): Permits {
    const { perUserMax: max, nowMs } = this.#options;
    const own = this.#users.get(user) ?? new Permits({ max, nowMs });
    this.#users.set(user, own);
    return own;
  }
}
