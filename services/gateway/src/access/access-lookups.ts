import type { Socket } from 'node:net';
import { Permits } from '@tidemark/fairness';
import type { Budget, Limits } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';

/** Requests to NATS at once. Each takes some milliseconds, and more would only wait there. */
const REQUESTS_MAX = 64;

/** Most that are asked for at once, with those that wait. */
const LOOKUPS_MAX = 2000;

/** Who asks. */
export interface Asker {
  /** A user, or the address of somebody who is not known yet. */
  readonly name: string;
  /** It closes when nobody wants the answer any more. */
  readonly socket: Socket;
}

/**
 * Access lookups: what the gateway asks NATS to decide on access, which are tickets and revocations. Users
 * and addresses wait in fair turns, in limited number, and those who are gone wait no longer.
 */
export class AccessLookups {
  readonly #places: Budget;
  readonly #permits: Permits;

  constructor(limits: Pick<Limits, 'budget'>, nowMs = () => performance.now()) {
    this.#permits = new Permits({ max: REQUESTS_MAX, nowMs });
    this.#places = limits.budget('access_lookups', {
      max: LOOKUPS_MAX,
      of: 'requests about tickets and revocations',
    });
  }

  /**
   * Asks when it is the asker's turn.
   *
   * @throws TidemarkError `limit_exceeded`; `unavailable` when the socket closes; or what `ask` throws
   */
  async run<T>({ name, socket }: Asker, ask: () => Promise<T>): Promise<T> {
    const place = this.#places.open(name);
    place.take(1);
    const leaving = new AbortController();
    const leave = () => leaving.abort(new TidemarkError('unavailable', 'The client is gone.'));
    socket.once('close', leave);
    if (socket.destroyed) leave();
    try {
      const flow = { user: name, connection: socket };
      return await this.#permits.use({ flow, signal: leaving.signal }, ask);
    } finally {
      socket.off('close', leave);
      place.release();
    }
  }
}
