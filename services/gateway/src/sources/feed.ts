import { Feed, type LogRecord, type NatsLink, readRecord } from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';
import type { Counters } from '../counters/counters.ts';
import type { DeliveryTrace } from '../log/event-entry.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import { decodeRecord } from './decoding.ts';
import { lastInCommon } from './divergence.ts';

/** Most invalid messages that are logged; later ones are only counted. */
const LOGGED_MAX = 100;

export interface LogFeedOptions {
  readonly log: EventLog;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tasks: TaskScheduler;
  readonly counters: Counters;
  /** Begins the delivery trace of a record, if the record is sampled. */
  readonly openTrace: (record: LogRecord, epoch: string) => DeliveryTrace | undefined;
}

/** Starts the one feed of the gateway, which fills its event log from the stream. */
export function startFeed(link: NatsLink, options: LogFeedOptions): Feed {
  const { log, logger, clock, tasks, counters, openTrace } = options;

  const appendRecord = (record: LogRecord): void => {
    counters.feedBytes += record.payload.length;
    counters.feedLagMs = Date.now() - record.timeMs;
    const decoded = decodeRecord(record);
    if (decoded.valid) {
      const deliveryTrace = openTrace(record, log.epoch);
      counters.feedEvents++;
      log.appendEvent(decoded.event, deliveryTrace);
      deliveryTrace?.completed();
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

  const feed = new Feed({
    link,
    logger,
    scheduler: {
      nowMs: () => clock.nowMs(),
      schedule: (backlog) => tasks.scheduleFeed(backlog),
    },
    onStart: async (stream) => {
      counters.feedRestarts++;
      const isSameStream = log.epoch === stream.epoch;
      const readMs = async (sequence: number) => (await readRecord(link, sequence))?.timeMs;
      return log.begin(
        stream,
        isSameStream ? await lastInCommon(log.tail, stream, readMs) : undefined,
      );
    },
    onRecord: appendRecord,
  });
  feed.start();
  return feed;
}
