import { UserPermits } from '@tidemark/fairness';
import type { Budget, OtherProcesses } from '@tidemark/http';
import { BehindConnections } from './connections/behind.ts';
import type { ConnectionContext } from './connections/context.ts';
import { PatternBudget, type PatternLimits } from './connections/pattern-budget.ts';
import { Counters } from './counters/counters.ts';
import { WriteBuffer } from './fan-out/batch.ts';
import { Hub } from './fan-out/hub.ts';
import { EventLog } from './log/event-log.ts';
import type { TailLimits } from './log/tail.ts';
import type { Clock } from './scheduling/clock.ts';
import { TaskScheduler } from './scheduling/task-scheduler.ts';
import { UserWork } from './scheduling/user-work.ts';
import { type ArchiveTier, ColdReads, type StreamTier } from './sources/cold-reads.ts';
import { LastStarts } from './sources/last-starts.ts';
import { StartResolver } from './sources/start-resolver.ts';
import { TailFill } from './sources/tail-fill.ts';

export interface CoreOptions {
  readonly stream: StreamTier;
  readonly archive: ArchiveTier;
  readonly clock: Clock;
  readonly tail: TailLimits;
  readonly coldReadsMax: number;
  readonly coldWaitMs: number;
  /** No limits if absent. */
  readonly patterns?: PatternLimits;
  /** Those that the patterns are limited together with; none if absent. */
  readonly others?: OtherProcesses;
  /** Most topics of one `after: "last"`; no limit if absent. */
  readonly lastTopicsMax?: number;
  /** How long a start with `atLeast` waits for an archive that has it; not at all if absent. */
  readonly atLeastWaitMs?: number;
  /** Bounds the memory of last events that subscriptions have yet to read; no limit if absent. */
  readonly lastBytes?: Budget;
  /** The wall clock, which measures how old an event is. The system's clock if absent. */
  readonly wallMs?: () => number;
}

/** Wires the log, its tiers, the hub and the task scheduler: everything that serves one stream. */
export function createCore(options: CoreOptions): ConnectionContext {
  const { stream, archive, clock, wallMs = Date.now } = options;
  const counters = new Counters();
  const nowMs = () => clock.nowMs();
  const tasks = new TaskScheduler(clock);
  const userWork = new UserWork(tasks, nowMs);
  const writeBuffer = new WriteBuffer();
  const patternBudget = new PatternBudget(options.patterns, options.others);
  const log = new EventLog({
    tail: options.tail,
    wallMs,
    onAppended: (entry, topic) => hub.deliverEvent(entry, topic),
    onRestarted: () => coldReads.abandonReads(),
  });
  const { topics } = log.tail;
  const hub = new Hub({ topics, clock, counters, tasks, writeBuffer, wallMs });
  const { coldReadsMax: max } = options;
  const reads = new UserPermits({ max, perUserMax: Math.ceil(max / 2), nowMs });
  const starts = new StartResolver({ stream, archive, clock });
  const lastStarts = new LastStarts({
    archive,
    clock,
    stream,
    atLeastWaitMs: options.atLeastWaitMs ?? 0,
    topicsMax: options.lastTopicsMax ?? Number.POSITIVE_INFINITY,
  });
  const coldReads = new ColdReads({
    stream,
    archive,
    clock,
    counters,
    reads,
    waitMs: options.coldWaitMs,
  });
  return {
    log,
    tailFill: new TailFill({ log, stream, clock }),
    hub,
    coldReads,
    starts,
    lastStarts,
    lastBytes: options.lastBytes,
    behind: new BehindConnections(),
    tasks,
    userWork,
    patternBudget,
    clock,
    counters,
    writeBuffer,
  };
}
