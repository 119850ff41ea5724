import {
  Feed,
  type LogRecord,
  type NatsLink,
  onStreamChange,
  readRecord,
  waitForStream,
} from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';
import type { Counters } from '../counters/counters.ts';
import type { DeliveryTrace } from '../log/event-entry.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import { decodeRecord, erasureIn } from './decoding.ts';
import { LossJudge } from './loss-judge.ts';
import type { TailFill } from './tail-fill.ts';

/** Most invalid messages that are logged; later ones are only counted. */
const LOGGED_MAX = 100;

export interface LogFeedOptions {
  readonly log: EventLog;
  readonly tailFill: TailFill;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tasks: TaskScheduler;
  readonly counters: Counters;
  /** Ends the wait for a stream that has changed. */
  readonly signal: AbortSignal;
  /** Begins the delivery trace of a record, if the record is sampled. */
  readonly openTrace: (record: LogRecord, epoch: string) => DeliveryTrace | undefined;
}

/** Starts the one feed of the gateway, which fills its event log from the stream. */
export function startFeed(link: NatsLink, options: LogFeedOptions): Feed {
  const { log, tailFill, logger, clock, tasks, counters, openTrace, signal } = options;

  const appendRecord = (record: LogRecord): void => {
    counters.feedBytes += record.payload.length;
    counters.feedLagMs = Date.now() - record.timeMs;
    const decoded = decodeRecord(record);
    if (decoded.valid) {
      const deliveryTrace = openTrace(record, log.epoch);
      counters.feedEvents++;
      log.appendEvent(decoded.event, deliveryTrace);
      deliveryTrace?.completed();
      const erasure = erasureIn(decoded.event);
      if (erasure) log.eraseEvents(erasure, decoded.event.sequence);
      return;
    }
    const { sequence } = record;
    counters.feedInvalid++;
    log.skipInvalid(sequence);
    if (counters.feedInvalid > LOGGED_MAX) return;
    logger.warn(
      { sequence, reason: decoded.reason },
      'a message of the stream is not a valid event',
    );
  };

  const readMs = async (sequence: number) => (await readRecord(link, sequence))?.timeMs;
  const loss = new LossJudge({ clock, readMs });
  const feed = new Feed({
    link,
    logger,
    scheduler: {
      nowMs: () => clock.nowMs(),
      schedule: (backlog) => tasks.scheduleFeed(backlog),
    },
    onStart: async (stream) => {
      counters.feedRestarts++;
      const end = await loss.judge(stream, log);
      const after = log.begin(stream, end);
      tailFill.begin();
      return after;
    },
    onRecord: appendRecord,
    onErased: (hole) => log.skipErased(hole),
  });
  feed.start();
  onStreamChange(link, logger, () => void followEpoch(link, { log, feed, logger, signal }));
  return feed;
}

interface Followed {
  readonly log: EventLog;
  readonly feed: Feed;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Starts the feed again where the log goes on in another epoch. */
async function followEpoch(link: NatsLink, { log, feed, ...waiting }: Followed): Promise<void> {
  const state = await waitForStream(link, waiting).catch(() => undefined);
  if (log.begun && state && state.epoch !== log.epoch) feed.restart('the log has a new epoch');
}
