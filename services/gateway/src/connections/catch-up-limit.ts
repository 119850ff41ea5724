import type { Semaphore } from '@tidemark/http';
import type { Position, Start } from '@tidemark/protocol';
import type { Gap } from './encoder.ts';
import type { CatchUp, ConnectionObserver } from './observer.ts';

interface Permit {
  readonly release: () => void;
  /** Given back by the end of the catch-up. */
  taken: boolean;
}

/**
 * Holds a permit of the user's semaphore for each subscription of a connection that catches up, and
 * passes every call on to the observer that reports on it.
 */
export class CatchUpLimit implements ConnectionObserver {
  readonly #observer: ConnectionObserver;
  readonly #semaphore: Semaphore;
  readonly #subject: string;
  /** Created when needed: most connections never catch up. */
  #beginning: Map<string, Permit> | undefined;

  constructor(observer: ConnectionObserver, semaphore: Semaphore, subject: string) {
    this.#observer = observer;
    this.#semaphore = semaphore;
    this.#subject = subject;
  }

  /** Subscribes, if a permit is free or none is needed. @throws TidemarkError `limit_exceeded` */
  async begin(id: string, start: Start, subscribe: () => Promise<void>): Promise<void> {
    if (start.kind === 'latest') return subscribe();
    const permit: Permit = { release: this.#semaphore.acquire(this.#subject), taken: false };
    this.#beginning ??= new Map();
    const beginning = this.#beginning.set(id, permit);
    try {
      await subscribe();
    } finally {
      if (beginning.get(id) === permit) beginning.delete(id);
      if (!permit.taken) permit.release();
    }
  }

  subscribed(
    subscription: { readonly id: string; readonly patterns: readonly string[] },
    at: { readonly position: Position; readonly head: number },
  ): CatchUp | undefined {
    const catchUp = this.#observer.subscribed(subscription, at);
    const permit = this.#beginning?.get(subscription.id);
    if (!catchUp || !permit) return catchUp;
    permit.taken = true;
    return {
      carried: (tier, entries) => catchUp.carried(tier, entries),
      end: (how) => {
        permit.release();
        catchUp.end(how);
      },
    };
  }

  unsubscribed(id: string): void {
    this.#observer.unsubscribed(id);
  }

  gap(id: string, gap: Gap): void {
    this.#observer.gap(id, gap);
  }

  closing(reason: Parameters<ConnectionObserver['closing']>[0]): void {
    this.#observer.closing(reason);
  }
}
