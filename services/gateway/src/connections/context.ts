import type { Counters } from '../counters/counters.ts';
import type { WriteBuffer } from '../fan-out/batch.ts';
import type { Hub } from '../fan-out/hub.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import type { ColdReads } from '../sources/cold-reads.ts';
import type { StartResolver } from '../sources/start-resolver.ts';

/** What every connection to one log shares. `core.ts` wires it. */
export interface ConnectionContext {
  readonly log: EventLog;
  /** Delivers to live subscriptions. */
  readonly hub: Hub;
  /** Reads what is older than the tail. */
  readonly coldReads: ColdReads;
  readonly starts: StartResolver;
  readonly tasks: TaskScheduler;
  readonly clock: Clock;
  readonly counters: Counters;
  /** One reusable buffer for all catch-up writes; a write is synchronous. */
  readonly writeBuffer: WriteBuffer;
}
