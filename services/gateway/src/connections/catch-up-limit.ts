import type { Semaphore } from '@tidemark/http';
import type { Position, Start } from '@tidemark/protocol';
import type { Gap } from './encoder.ts';
import type { CatchUpObserver, ConnectionObserver } from './observer.ts';

interface Permit {
  readonly release: () => void;
  /** Whether a catch-up keeps the permit. That catch-up releases it at its end. */
  kept: boolean;
}

/**
 * Holds a permit of the user's semaphore for each subscription of a connection that catches up. It
 * passes every call on to the connection's observer.
 */
export class CatchUpLimit implements ConnectionObserver {
  readonly #observer: ConnectionObserver;
  readonly #semaphore: Semaphore;
  readonly #subject: string;
  /** Created when needed, because most connections never catch up. */
  #beginning: Map<string, Permit> | undefined;

  constructor(observer: ConnectionObserver, semaphore: Semaphore, subject: string) {
    this.#observer = observer;
    this.#semaphore = semaphore;
    this.#subject = subject;
  }

  /** Subscribes, if a permit is free or none is needed. @throws TidemarkError `limit_exceeded` */
  async begin(id: string, start: Start, subscribe: () => Promise<void>): Promise<void> {
    if (start.kind === 'latest') return subscribe();
    const permit: Permit = { release: this.#semaphore.acquire(this.#subject), kept: false };
    this.#beginning ??= new Map();
    const beginning = this.#beginning.set(id, permit);
    try {
      await subscribe();
    } finally {
      if (beginning.get(id) === permit) beginning.delete(id);
      if (!permit.kept) permit.release();
    }
  }

  subscribed(
    subscription: { readonly id: string; readonly patterns: readonly string[] },
    at: { readonly position: Position; readonly head: number },
  ): CatchUpObserver | undefined {
    const catchUpObserver = this.#observer.subscribed(subscription, at);
    const permit = this.#beginning?.get(subscription.id);
    if (!catchUpObserver || !permit) return catchUpObserver;
    permit.kept = true;
    return {
      written: (tier, entries) => catchUpObserver.written(tier, entries),
      end: (how) => {
        permit.release();
        catchUpObserver.end(how);
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
