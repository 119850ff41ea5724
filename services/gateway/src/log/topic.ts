import type { Cohort } from '../fan-out/subscriber-group.ts';
import { EntryQueue } from './entry-queue.ts';

/** What is known of one topic for as long as the tail holds events of it. */
export class Topic {
  readonly entries = new EntryQueue();
  /** Who is live on it; forgotten when a pattern comes or goes that matches it. */
  cohorts: readonly Cohort[] | undefined;
  /** The hub's era in which that was found out. */
  era = 0;
}
