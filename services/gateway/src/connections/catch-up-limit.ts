import type { Places } from '@tidemark/http';
import type { Position, Start } from '@tidemark/protocol';
import type { Gap } from './encoder.ts';
import type { CatchUp, ConnectionObserver } from './observer.ts';

interface Place {
  readonly leave: () => void;
  /** Given back by the end of the catch-up. */
  taken: boolean;
}

/**
 * Holds one of its user's places for each subscription of a connection that catches up, beside the
 * observer that reports on it: it is told the same.
 */
export class CatchUpLimit implements ConnectionObserver {
  readonly #observer: ConnectionObserver;
  readonly #places: Places;
  readonly #subject: string;
  /** Created when needed: most connections never catch up. */
  #beginning: Map<string, Place> | undefined;

  constructor(observer: ConnectionObserver, places: Places, subject: string) {
    this.#observer = observer;
    this.#places = places;
    this.#subject = subject;
  }

  /** Subscribes, if a place is free or none is needed. @throws TidemarkError `limit_exceeded` */
  async begin(id: string, start: Start, subscribe: () => Promise<void>): Promise<void> {
    if (start.kind === 'latest') return subscribe();
    const place: Place = { leave: this.#places.enter(this.#subject), taken: false };
    this.#beginning ??= new Map();
    const beginning = this.#beginning.set(id, place);
    try {
      await subscribe();
    } finally {
      if (beginning.get(id) === place) beginning.delete(id);
      if (!place.taken) place.leave();
    }
  }

  subscribed(
    subscription: { readonly id: string; readonly patterns: readonly string[] },
    at: { readonly position: Position; readonly head: number },
  ): CatchUp | undefined {
    const catchUp = this.#observer.subscribed(subscription, at);
    const place = this.#beginning?.get(subscription.id);
    if (!catchUp || !place) return catchUp;
    place.taken = true;
    return {
      carried: (tier, entries) => catchUp.carried(tier, entries),
      end: (how) => {
        place.leave();
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
