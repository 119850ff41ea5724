import type { Deliver } from '@tidemark/protocol';
import type { PatternSet } from '../log/pattern-set.ts';
import type { CatchUpObserver } from './observer.ts';

/**
 * One subscription of a connection.
 *
 *     resolving --start is known--> behind --reached the head--> live
 *                                     ^                            |
 *                                     +-- slow, or a new neighbour +
 *                                         that overlaps begins earlier
 */
export class Subscription {
  readonly id: string;
  readonly patterns: PatternSet;
  readonly deliver: Deliver;
  /** Its start, or the last event that it received apart from others: later events are for it. */
  after = 0;
  /** `live` is sent once, when it has caught up for the first time. */
  sentLive = false;
  /** Set while it catches up for the first time, where somebody observes that. */
  catchUpObserver: CatchUpObserver | undefined;
  /** Events skipped for newer ones of their topics, and not reported to the client yet. */
  skipped = 0;
  /** After this sequence some were skipped for newer ones that have not been written yet. */
  incompleteSince: number | undefined;

  constructor(id: string, patterns: PatternSet, deliver: Deliver = 'all') {
    this.id = id;
    this.patterns = patterns;
    this.deliver = deliver;
  }

  wants(event: { readonly sequence: number; readonly topic: string }): boolean {
    return event.sequence > this.after && this.patterns.matches(event.topic);
  }
}
