import type { Deliver } from '@tidemark/protocol';
import type { TopicFilter } from './log.ts';
import { Skips } from './skips.ts';
import type { Truth } from './truth.ts';

/** Events that should have come and did not. */
export interface Hole {
  readonly missing: number;
  /** The sequence of the first of them. */
  readonly first: number;
  /** Everything had come up to this sequence. */
  readonly from: number;
}

/** The part of the log of which a subscription has everything, or was told what it lacks. */
export class Coverage {
  /** Every matching event up to this sequence of the final log has come, or its absence was told. */
  through = 0;
  filter: TopicFilter = new Uint8Array();
  deliver: Deliver = 'all';
  readonly skips: Skips;
  readonly #truth: Truth;

  constructor(truth: Truth) {
    this.#truth = truth;
    this.skips = new Skips(truth.log);
  }

  /** Goes on to a sequence, at a time. @returns what should have come on the way */
  pass(through: number, atMs: number): Hole | undefined {
    const { log, faults, found } = this.#truth;
    const from = this.through;
    if (through <= from) return undefined;
    this.through = through;
    let missing = 0;
    let first = 0;
    let next = log.nextKnown(this.filter, from, through);
    for (; next; next = log.nextKnown(this.filter, next, through)) {
      if (log.attemptMsOf(next) > atMs && faults.mayHaveLostEnd(atMs)) {
        found.except('numbers that were lost and given again');
      } else if (this.deliver === 'latest') {
        // The gateway may have counted what is gone, or not.
        if (log.has(next)) this.skips.add(next);
      } else {
        first ||= next;
        missing++;
      }
    }
    if (this.deliver === 'latest') this.skips.addUnknown(from, through);
    return missing === 0 ? undefined : { missing, first, from };
  }
}
