import { FairQueue, type Flow } from '@tidemark/fairness';
import type { Limits } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';

/**
 * Most events on their way to the stream at one time. NATS stores what one connection sends in the order in which it
 * came, so an event waits for all before it: 500 take 15 to 40 ms. With 1,000 nothing was faster, and another user's
 * event came twice as late.
 */
export const WINDOW_EVENTS = 500;

/** The events that a user may send before the next user's. */
const QUANTUM_EVENTS = 100;

/** Who wants to append, how many events, and how long that may wait. */
export interface Entrant {
  readonly flow: Flow;
  readonly events: number;
  readonly waitMsMax: number;
}

/**
 * Bounds what is on its way to the stream, and lets users take turns. What one user has waiting therefore stays here, in
 * the user's own queue, and not in NATS in front of the events of all others. What waits too long is refused, before
 * its publisher stops waiting for the answer.
 */
export class AppendWindow {
  readonly #queue = new FairQueue<() => void>(QUANTUM_EVENTS);
  readonly #limits: Pick<Limits, 'hit'>;
  #used = 0;

  constructor(limits: Pick<Limits, 'hit'>) {
    this.#limits = limits;
  }

  /** Events on their way to the stream. */
  get used(): number {
    return this.#used;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Waits until the events may be sent. All of a request may be when there is room for one, or the largest would wait for ever.
   *
   * @returns must be called when the stream has answered; further calls do nothing
   * @throws TidemarkError `unavailable` where that takes too long
   */
  async enter(entrant: Entrant): Promise<() => void> {
    return this.enterNow(entrant) ?? this.#wait(entrant).then(() => this.#entered(entrant));
  }

  /** The same where there is room, and so nobody waits; `undefined` where there is none. */
  enterNow(entrant: Entrant): (() => void) | undefined {
    if (this.#used >= WINDOW_EVENTS) return undefined;
    this.#take(entrant.flow, entrant.events);
    return this.#entered(entrant);
  }

  #entered({ events }: Entrant): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#used -= events;
      this.#admit();
    };
  }

  /** The error of a request that waited too long, which is counted. */
  late(): TidemarkError {
    this.#limits.hit('publish_wait');
    const message = 'More is published than can be stored in time.';
    return new TidemarkError('unavailable', message, { retryAfterSeconds: 1 });
  }

  #wait({ flow, events, waitMsMax }: Entrant): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#queue.remove(enter, flow);
        reject(this.late());
      };
      const timer = setTimeout(leave, waitMsMax);
      const enter = (): void => {
        clearTimeout(timer);
        this.#take(flow, events);
        resolve();
      };
      this.#queue.add(enter, flow);
    });
  }

  #take(flow: Flow, events: number): void {
    this.#used += events;
    this.#queue.charge(flow, events);
  }

  /** Lets in who is next while there is room. */
  #admit(): void {
    while (this.#used < WINDOW_EVENTS) {
      const next = this.#queue.take();
      if (!next) return;
      next.item();
    }
  }
}
