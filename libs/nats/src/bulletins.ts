import { type Bulletin, parseBulletin, type ReportingService } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { BulletinBoard } from './bulletin-board.ts';
import { isSentTo, type NatsLink } from './link.ts';

/** Followed by the service. Each service may publish under its own name only. */
const SUBJECT = 'tidemark.stats.';

/**
 * Publishes a bulletin to all gateways. Does nothing while NATS is away, or where it refuses the subject, as it does
 * with permissions of an earlier version.
 */
export function publishBulletin(link: NatsLink, bulletin: Bulletin): void {
  const subject = bulletinSubject(bulletin.service);
  if (link.mayPublish(subject)) link.connection.publish(subject, JSON.stringify(bulletin));
}

/** Whose bulletins are posted, and where. */
export interface FollowBulletinsOptions {
  readonly board: BulletinBoard;
  readonly logger: Logger;
  /** This process, which posts its own bulletins itself: nobody else speaks for it. */
  readonly own: string;
}

/** Posts the bulletins of all processes until it is stopped. The link has been connected. */
export function followBulletins(
  link: NatsLink,
  { board, logger, own }: FollowBulletinsOptions,
): { stop(): void } {
  const subscription = link.subscribe(`${SUBJECT}*`, {
    onMessage: (message) => {
      const bulletin = parseBulletin(message.data);
      // What a stream holds, and a service that speaks for another kind, keep another subject.
      const isOwn = bulletin && isSentTo(message, bulletinSubject(bulletin.service));
      if (!isOwn) board.ignored++;
      else if (bulletin.instance !== own) board.post(bulletin);
    },
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'the figures of services are no longer received');
    },
  });
  board.begin();
  const forgetConnect = link.onConnect(() => board.begin());
  return {
    stop() {
      forgetConnect();
      if (!subscription.isClosed()) subscription.unsubscribe();
    },
  };
}

/** The subject of the bulletins of a kind of service. */
export function bulletinSubject(service: ReportingService): string {
  return SUBJECT + service;
}
