import { EntryQueue } from './entry-queue.ts';
import type { EventEntry } from './event-entry.ts';

/** Receives each event of the topics that it subscribes to. */
export interface EventSubscriber {
  enqueueEvent(entry: EventEntry): void;
}

/** What is known of one topic while the tail holds events of it. */
export class Topic {
  readonly entries = new EntryQueue();
  /** The live subscribers; `undefined` until the hub looks them up, and after a match may differ. */
  subscribers: readonly EventSubscriber[] | undefined;
  /** The hub's generation in which they were looked up. */
  generation = 0;
}
