import type { Faults } from './faults.ts';
import type { Place } from './lineage.ts';
import type { FinalLog } from './log.ts';
import type { Findings } from './violation.ts';

/** The parts of a run that a subscription is compared with. */
export interface Truth {
  readonly log: FinalLog;
  readonly faults: Faults;
  readonly found: Findings;
  /** Tells, for one set of patterns, whether a topic matches. */
  matcher(patterns: readonly string[]): (topic: string) => boolean;
  /** The topic of a published event, whether it is in the log or not. */
  topicOf(id: string): string | undefined;
}

/** What has arrived for the subscription on a connection. */
export interface Arrival {
  readonly atMs: number;
  readonly connection: string;
}

/** An event that has arrived, and where its cursor lies. */
export interface ArrivedEvent extends Arrival {
  readonly place: Place;
  readonly cursor: string;
  readonly topic: string;
  readonly id: string;
}
