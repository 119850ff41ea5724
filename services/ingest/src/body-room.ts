import type { Limits, Places, Request } from '@tidemark/http';

export interface BodyRoomOptions {
  readonly limits: Limits;
  readonly bodyBytesMax: number;
  readonly bodiesBytesPerUserMax: number;
  readonly bodiesBytesMax: number;
}

/** The memory that bodies may take at once: whoever sends many slowly must leave room for others. */
export class BodyRoom {
  readonly #bodyBytesMax: number;
  readonly #users: Places;
  readonly #all: Places;

  constructor({ limits, bodyBytesMax, bodiesBytesPerUserMax, bodiesBytesMax }: BodyRoomOptions) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#users = limits.places('bodies_bytes_per_user', {
      max: bodiesBytesPerUserMax,
      of: 'bytes of bodies of this user',
    });
    this.#all = limits.places('bodies_bytes', { max: bodiesBytesMax, of: 'bytes of bodies' });
  }

  /** @returns gives the room back. @throws TidemarkError `limit_exceeded` */
  enter({ headers }: Pick<Request, 'headers'>, subject: string): () => void {
    const plain = headers['content-encoding'] === undefined;
    const claimed = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
    // A body that does not tell its size, or is to be inflated, may become as large as any.
    const bytes = plain ? Math.min(claimed, this.#bodyBytesMax) : this.#bodyBytesMax;
    const leaveUser = this.#users.enter(subject, bytes);
    try {
      const leaveAll = this.#all.enter('all', bytes);
      return () => {
        leaveUser();
        leaveAll();
      };
    } catch (error) {
      leaveUser();
      throw error;
    }
  }
}
