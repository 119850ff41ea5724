import type { BulletinBoard } from '@tidemark/nats';
import { formatCursor } from '@tidemark/protocol';
import { type Figures, type ServiceParts, startBulletins } from '@tidemark/service';
import { Growth, percentilesOf } from '@tidemark/telemetry';
import type { ConnectionContext } from '../connections/context.ts';
import type { Registry } from '../connections/registry.ts';
import type { Reports } from './reports/reports.ts';

/** What the figures of a gateway are read from, and where they are posted. */
export interface FigureOptions {
  readonly core: ConnectionContext;
  readonly registry: Registry;
  readonly reports: Reports;
  readonly board: BulletinBoard;
  readonly ready: () => boolean;
}

/** Publishes the figures of this gateway until it is stopped. Its own board has them at once. */
export function publishFigures(parts: ServiceParts, options: FigureOptions): { stop(): void } {
  const { core, registry, reports, board, ready } = options;
  const { counters, behind, log } = core;
  const read = () => ({
    counters: {
      in: counters.feedEvents,
      out: counters.deliveries,
      bytes: counters.bytesOut,
    },
    histograms: { deliveries: counters.deliveryLagMs },
  });
  const growth = new Growth(read, performance.now());
  const figures = (): Figures<'gateway'> => {
    const deliveries = growth.distribution('deliveries');
    return {
      connections: registry.sizes,
      subscriptions: reports.subscriptions,
      slow: behind.slow,
      catchUps: behind.size,
      eventsInPerSecond: growth.perSecond('in'),
      eventsOutPerSecond: growth.perSecond('out'),
      bytesOutPerSecond: growth.perSecond('bytes'),
      deliveryMs: percentilesOf(deliveries),
      deliveries: { bounds: [...deliveries.bounds], counts: [...deliveries.counts] },
      fellBehind: counters.fellBehind,
      head: log.begun ? formatCursor({ epoch: log.epoch, sequence: log.tail.head }) : null,
    };
  };
  return startBulletins(parts, {
    service: 'gateway',
    ready,
    figures,
    sample: (nowMs) => growth.sample(nowMs),
    onBulletin: (bulletin) => board.post(bulletin),
  });
}
