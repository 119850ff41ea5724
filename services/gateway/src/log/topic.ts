import { EntryQueue } from './entry-queue.ts';
import type { EventEntry } from './event-entry.ts';

/** Receives every event of the topics that it subscribes to. */
export interface EventSubscriber {
  enqueueEvent(entry: EventEntry): void;
}

/** One topic of the tail, with its entries and its live subscribers. */
export class Topic {
  readonly entries = new EntryQueue();
  /** The live subscribers; `undefined` until the hub looks them up, and again once they may differ. */
  subscribers: readonly EventSubscriber[] | undefined;
  /** The generation of the hub at that look-up. */
  generation = 0;
}
