import type {
  AppendedEvent,
  AppendRequest,
  EventAppender,
  EventOutcome,
  Precondition,
  TogetherRequest,
} from '@tidemark/nats';
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
      this.#count(stored.duplicate ? 'duplicate' : 'stored', 1);
      return stored;
    } catch (error) {
      this.#count(asTidemarkError(error).code, 1);
      throw error;
    }
  }

  /**
   * Appends events that go out together, without conditions and spans.
   *
   * @returns what became of each
   * @throws TidemarkError like `EventAppender.appendAll`
   */
  async appendAll(
    events: readonly EncodedEvent[],
    request: TogetherRequest,
  ): Promise<readonly EventOutcome[]> {
    try {
      const outcomes = await this.#appender.appendAll(events, request);
      this.#countAll(outcomes);
      return outcomes;
    } catch (error) {
      this.#count(asTidemarkError(error).code, events.length);
      throw error;
    }
  }

  /** Counts each result once, however many events have it. */
  #countAll(outcomes: readonly EventOutcome[]): void {
    const counts = new Map<string, number>();
    for (const outcome of outcomes) {
      const result = resultOf(outcome);
      counts.set(result, (counts.get(result) ?? 0) + 1);
    }
    for (const [result, events] of counts) this.#count(result, events);
  }

  #count(result: string, events: number): void {
    if (result === 'stored') this.stored += events;
    if (result === 'duplicate') this.duplicates += events;
    this.#results.inc({ result }, events);
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

function resultOf(outcome: EventOutcome): string {
  if (outcome instanceof Error) return outcome.code;
  return outcome.duplicate ? 'duplicate' : 'stored';
}
