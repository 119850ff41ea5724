import { publishBulletin } from '@tidemark/nats';
import type { Bulletin, BulletinOf, ReportingService } from '@tidemark/protocol';
import type { ServiceParts } from './parts.ts';
import { VERSION } from './version.ts';

/** How often each process publishes its figures, in ms. */
const BULLETIN_MS = 1000;

/** What a service adds to the bulletin of its process. */
export type Figures<S extends ReportingService> = Omit<
  BulletinOf<S>,
  'service' | 'instance' | 'version' | 'startedAt' | 'ready' | 'memoryBytes' | 'leaving'
>;

/** The bulletins of one service process. */
export interface BulletinOptions<S extends ReportingService> {
  readonly service: S;
  /** Whether the service is ready, as `/readyz` says. */
  readonly ready: () => boolean;
  /** Called before each bulletin, to sample what only grows. */
  readonly sample: (nowMs: number) => void;
  readonly figures: () => Figures<S>;
  /** Called with each bulletin of the process itself. */
  readonly onBulletin?: (bulletin: Bulletin) => void;
}

/**
 * Publishes the figures of this process once a second until it is stopped, whether NATS is there or not: the samples go
 * on, so that the figures are right when it is back.
 */
export function startBulletins<S extends ReportingService>(
  { link, logger, instance }: ServiceParts,
  options: BulletinOptions<S>,
): { stop(): void } {
  const { service, ready, sample, figures, onBulletin } = options;
  const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString();
  let failed = false;
  const publish = (leaving?: true): void => {
    try {
      sample(performance.now());
      const bulletin = {
        ...{ service, instance, version: VERSION, startedAt, ready: ready() },
        memoryBytes: process.memoryUsage.rss(),
        ...figures(),
        ...(leaving && { leaving }),
      } as unknown as Bulletin;
      onBulletin?.(bulletin);
      publishBulletin(link, bulletin);
      failed = false;
    } catch (err) {
      // Such as a file that cannot be looked at. The service goes on, and the log has one line.
      if (!failed) logger.error({ err }, 'the figures of this process cannot be published');
      failed = true;
    }
  };
  const timer = setInterval(() => publish(), BULLETIN_MS);
  logger.info({ instance }, 'publishing the figures of this process');
  publish();
  return {
    stop() {
      clearInterval(timer);
      publish(true);
    },
  };
}
