import { Feed, type NatsLink, readStoredMs } from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';
import type { Log } from '../log/event-log.ts';
import type { Receipts } from '../observability/reports/delivery-traces.ts';
import { decode } from './decoding.ts';

/** The first messages that are no events are logged each, later ones only counted. */
const LOGGED_MAX = 100;

/** Starts the one feed that a gateway has: from the stream into its log. */
export function follow(
  link: NatsLink,
  { log, logger, receipts }: { log: Log; logger: Logger; receipts: Receipts },
): Feed {
  const feed = new Feed({
    link,
    log: logger,
    pace: {
      nowMs: () => log.scheduler.nowMs(),
      wake: (task) => log.turns.addIntake(task),
    },
    onStart: (state) => {
      log.counts.feedRestarts++;
      return log.start(state, (sequence) => readStoredMs(link, sequence));
    },
    onRecord: (record) => {
      log.counts.feedBytes += record.payload.length;
      log.counts.feedLagMs = Date.now() - record.timeMs;
      const decoded = decode(record);
      if (decoded.valid) {
        const receipt = receipts.open(record, log.epoch);
        log.append(decoded.event, receipt);
        receipt?.settled();
        return;
      }
      log.skip(record.sequence);
      if (log.counts.feedInvalid > LOGGED_MAX) return;
      const { sequence } = record;
      logger.warn({ sequence, reason: decoded.reason }, 'a message of the stream is no event');
    },
  });
  feed.start();
  return feed;
}
