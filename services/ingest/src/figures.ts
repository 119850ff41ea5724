import type { EventAppender } from '@tidemark/nats';
import { type ServiceParts, startBulletins } from '@tidemark/service';
import { Growth, percentilesOf } from '@tidemark/telemetry';
import type { Appends } from './appends.ts';
import type { Publishing } from './publishing.ts';

/** What the figures of an ingest are read from. */
export interface FigureOptions {
  readonly appender: EventAppender;
  readonly appends: Appends;
  readonly publishing: Publishing;
  readonly ready: () => boolean;
}

/** Publishes the figures of this ingest until it is stopped. */
export function publishFigures(parts: ServiceParts, options: FigureOptions): { stop(): void } {
  const { appender, appends, publishing, ready } = options;
  const read = () => ({
    counters: {
      stored: appends.stored,
      duplicates: appends.duplicates,
      refused: publishing.refusedRequests,
    },
    histograms: { appends: appender.seconds },
  });
  const growth = new Growth(read, performance.now());
  return startBulletins(parts, {
    service: 'ingest',
    ready,
    sample: (nowMs) => growth.sample(nowMs),
    figures: () => {
      const { bounds, counts } = growth.distribution('appends');
      return {
        eventsPerSecond: growth.perSecond('stored'),
        refusedPerSecond: growth.perSecond('refused'),
        duplicatesPerSecond: growth.perSecond('duplicates'),
        appendMs: percentilesOf({ bounds: bounds.map((seconds) => seconds * 1000), counts }),
        store: appender.store,
      };
    },
  });
}
