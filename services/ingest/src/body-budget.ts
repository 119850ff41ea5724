import type { Limits, Request, Semaphore } from '@tidemark/http';

export interface BodyBudgetOptions {
  readonly limits: Limits;
  readonly bodyBytesMax: number;
  readonly bodiesBytesPerUserMax: number;
  readonly bodiesBytesMax: number;
}

/** Bounds the memory of all bodies under way, and that of one user's, so that nobody can use it up. */
export class BodyBudget {
  readonly #bodyBytesMax: number;
  readonly #users: Semaphore;
  readonly #all: Semaphore;

  constructor({ limits, bodyBytesMax, bodiesBytesPerUserMax, bodiesBytesMax }: BodyBudgetOptions) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#users = limits.semaphore('bodies_bytes_per_user', {
      max: bodiesBytesPerUserMax,
      of: 'bytes of bodies of this user',
    });
    this.#all = limits.semaphore('bodies_bytes', { max: bodiesBytesMax, of: 'bytes of bodies' });
  }

  /**
   * Reserves memory for the body of a request.
   *
   * @returns releases it
   * @throws TidemarkError `limit_exceeded`
   */
  acquire({ headers }: Pick<Request, 'headers'>, subject: string): () => void {
    const plain = headers['content-encoding'] === undefined;
    const claimed = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
    // A body without a length, or a compressed one, may become as large as the largest.
    const bytes = plain ? Math.min(claimed, this.#bodyBytesMax) : this.#bodyBytesMax;
    const releaseUser = this.#users.acquire(subject, bytes);
    try {
      const releaseAll = this.#all.acquire('all', bytes);
      return () => {
        releaseUser();
        releaseAll();
      };
    } catch (error) {
      releaseUser();
      throw error;
    }
  }
}
