import { EntryQueue } from './entry-queue.ts';
import type { EventEntry } from './event-entry.ts';

/** Receives every event of the topics that it subscribes to. */
export interface EventSubscriber {
  enqueueEvent(entry: EventEntry): void;
}

/** Measured memory of a topic in addition to its name: objects, its place in the index, subscribers. */
const TOPIC_OVERHEAD_BYTES = 380;

/** One topic of the tail, with its entries and its live subscribers. */
export class Topic {
  /** The entries of the topic refer to this one text. */
  readonly name: string;
  readonly entries = new EntryQueue();
  /** The live subscribers; `undefined` until the hub looks them up, and again once they may differ. */
  subscribers: readonly EventSubscriber[] | undefined;
  /** The generation of the hub at that look-up. */
  generation = 0;

  constructor(name: string) {
    this.name = name;
  }

  get chargedBytes(): number {
    return topicBytes(this.name);
  }
}

/** The memory of a topic of that name. */
export function topicBytes(name: string): number {
  return name.length + TOPIC_OVERHEAD_BYTES;
}
