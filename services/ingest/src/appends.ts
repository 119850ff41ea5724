import type { AppendedEvent, AppendRequest, EventAppender, Precondition } from '@tidemark/nats';
import { asTidemarkError, type EncodedEvent } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';

/** An append of which one of several conditions must hold. */
export interface ConditionalRequest extends Omit<AppendRequest, 'precondition'> {
  readonly preconditions?: readonly Precondition[] | undefined;
}

/** Appends events and counts the results. */
export class Appends {
  readonly #appender: EventAppender;
  readonly #results;
  /** Events that were stored, without those that the stream had already. */
  stored = 0;
  duplicates = 0;

  constructor(appender: EventAppender, metrics: Metrics) {
    this.#appender = appender;
    this.#results = metrics.counter('ingest_events_total', 'Appends by how they ended.', [
      'result',
    ]);
  }

  /** @throws TidemarkError like `EventAppender.appendEncoded` */
  async append(event: EncodedEvent, request: ConditionalRequest): Promise<AppendedEvent> {
    try {
      const stored = await this.#append(event, request);
      if (stored.duplicate) this.duplicates++;
      else this.stored++;
      this.#results.inc({ result: stored.duplicate ? 'duplicate' : 'stored' });
      return stored;
    } catch (error) {
      this.#results.inc({ result: asTidemarkError(error).code });
      throw error;
    }
  }

  /** The stream knows one condition for an append, so each is tried until one holds. */
  async #append(event: EncodedEvent, request: ConditionalRequest): Promise<AppendedEvent> {
    const { preconditions = [], ...rest } = request;
    const [precondition, ...others] = preconditions;
    try {
      return await this.#appender.appendEncoded(event, { ...rest, precondition });
    } catch (error) {
      const refused = asTidemarkError(error).code === 'precondition_failed';
      if (!refused || others.length === 0) throw error;
      return this.#append(event, { ...rest, preconditions: others });
    }
  }
}
