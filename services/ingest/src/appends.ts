import type { AppendedEvent, AppendRequest, EventAppender } from '@tidemark/nats';
import { asTidemarkError, type CloudEvent } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';

/** Appends events and counts the results. */
export class Appends {
  readonly #appender: EventAppender;
  readonly #results;

  constructor(appender: EventAppender, metrics: Metrics) {
    this.#appender = appender;
    this.#results = metrics.counter('ingest_events_total', 'Appends by how they ended.', [
      'result',
    ]);
  }

  /** @throws TidemarkError like `EventAppender.append` */
  async append(event: CloudEvent, request: AppendRequest): Promise<AppendedEvent> {
    try {
      const stored = await this.#appender.append(event, request);
      this.#results.inc({ result: stored.duplicate ? 'duplicate' : 'stored' });
      return stored;
    } catch (error) {
      this.#results.inc({ result: asTidemarkError(error).code });
      throw error;
    }
  }
}
