import type { Budget } from '@tidemark/http';
import type { Counters } from '../counters/counters.ts';
import type { WriteBuffer } from '../fan-out/batch.ts';
import type { Hub } from '../fan-out/hub.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import type { UserWork } from '../scheduling/user-work.ts';
import type { ColdReads } from '../sources/cold-reads.ts';
import type { LastStarts } from '../sources/last-starts.ts';
import type { StartResolver } from '../sources/start-resolver.ts';
import type { TailFill } from '../sources/tail-fill.ts';
import type { BehindConnections } from './behind.ts';
import type { PatternBudget } from './pattern-budget.ts';

/** The parts that all connections to one log share. `core.ts` wires them. */
export interface ConnectionContext {
  readonly log: EventLog;
  /** Fills the tail of a gateway that has started. */
  readonly tailFill: TailFill;
  /** Delivers to live subscriptions. */
  readonly hub: Hub;
  /** Reads events that are older than the tail. */
  readonly coldReads: ColdReads;
  readonly starts: StartResolver;
  readonly lastStarts: LastStarts;
  /** Bounds the memory of last events that subscriptions have yet to read; no limit if absent. */
  readonly lastBytes: Budget | undefined;
  /** The connections that catch up or are slow. */
  readonly behind: BehindConnections;
  readonly tasks: TaskScheduler;
  /** What is done for single connections. */
  readonly userWork: UserWork;
  /** Limits the patterns of all subscriptions. */
  readonly patternBudget: PatternBudget;
  readonly clock: Clock;
  readonly counters: Counters;
  /** One buffer for all catch-up writes. They can share it because a write is synchronous. */
  readonly writeBuffer: WriteBuffer;
}
