import type { Deliver } from '@tidemark/protocol';
import type { PatternSet } from '../log/pattern-set.ts';
import type { CatchUp } from './observer.ts';

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
  /** Events up to and with this sequence are not for it: its start, or what it had on its own. */
  after = 0;
  /** `live` is told once, when it has caught up for the first time. */
  toldLive = false;
  /** While it catches up for the first time, if anybody looks. */
  catchUp: CatchUp | undefined;
  /** Events passed over for newer ones of their topics and not told yet. */
  passedOver = 0;
  /** Since this sequence some were passed over for newer ones that have not been written yet. */
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
