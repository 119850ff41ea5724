import type { Deliver } from '@tidemark/protocol';
import type { EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { LastEvents } from './last-events.ts';
import type { CatchUpEnd, CatchUpObserver } from './observer.ts';

/**
 * One subscription of a connection. `Connection` keeps its state:
 *
 *     #resolving --#begin--> in one of #readers --goLive--> #live
 *                                   ^                         |
 *                                   +------ fallBehind, ------+
 *                                           #absorbOverlaps
 *
 * A subscription falls behind when its socket is full. It returns to a reader too when a subscription
 * that overlaps it begins at an earlier sequence.
 */
export class Subscription {
  readonly id: string;
  readonly patterns: PatternSet;
  readonly deliver: Deliver;
  readonly #releasePatterns: () => void;
  /** Its start, or the sequence it had reached when it last joined a reader. Later events are for it. */
  after = 0;
  /** Whether `live` was sent, once, when it had caught up for the first time. */
  sentLive = false;
  /** Set while it catches up for the first time, if that is observed. */
  catchUpObserver: CatchUpObserver | undefined;
  /** What it has yet to receive of the last events, which come before its start. */
  last: LastEvents | undefined;
  /** Gives up the search for its start; set while that asks NATS or an archive. */
  stopResolving: (() => void) | undefined;
  /** The number of skipped events that no `skipped` has reported to the client yet. */
  skipped = 0;
  /** After this sequence events were skipped for newer ones that have not been written yet. */
  incompleteSince: number | undefined;

  /** @param releasePatterns gives back what its patterns were charged for */
  constructor(id: string, patterns: PatternSet, deliver: Deliver, releasePatterns: () => void) {
    this.id = id;
    this.patterns = patterns;
    this.deliver = deliver;
    this.#releasePatterns = releasePatterns;
  }

  /** Gives back what its patterns and its last events were charged for; called when the subscription has ended. */
  release(): void {
    this.#releasePatterns();
    this.endLast();
  }

  /** Tells the observer how the first catch-up ended, once. */
  endCatchUp(how: CatchUpEnd): void {
    this.catchUpObserver?.end(how);
    this.catchUpObserver = undefined;
  }

  /** All last events were written, or nobody wants them any more. */
  endLast(): void {
    this.last?.release();
    this.last = undefined;
  }

  /** Whether an event is of its topics and not before its start, whatever the type. */
  covers(event: { readonly sequence: number; readonly topic: string }): boolean {
    return event.sequence > this.after && this.patterns.matches(event.topic);
  }

  wants(entry: EventEntry): boolean {
    return this.covers(entry) && this.wantsType(entry);
  }

  /** Whether an event can be one of its last events. */
  wantsLast(entry: EventEntry): boolean {
    return this.patterns.matches(entry.topic) && this.wantsType(entry);
  }

  wantsType(entry: EventEntry): boolean {
    const { types } = this.patterns;
    return types === undefined || types.accepts(entry.type);
  }
}
