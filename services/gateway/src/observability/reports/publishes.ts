import {
  asTidemarkError,
  type CloudEvent,
  readTraceContext,
  type TraceCarrier,
  type TraceContext,
  withContext,
} from '@tidemark/protocol';
import {
  type Metrics,
  type Span,
  sampledContextOf,
  type Tracer,
  traceSend,
} from '@tidemark/telemetry';

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export interface Stored {
  readonly cursor: string;
  readonly duplicate: boolean;
}

/** What clients publish over WebSocket: traced and counted as ingest does what comes over HTTP. */
export class Publishes {
  readonly #tracer: Tracer;
  readonly #results;
  readonly #seconds;

  constructor({ metrics, tracer }: { readonly metrics: Metrics; readonly tracer: Tracer }) {
    this.#tracer = tracer;
    this.#results = metrics.counter(
      'gateway_publishes_total',
      'Events that clients published, by how that ended.',
      ['result'],
    );
    this.#seconds = metrics.histogram('gateway_append_seconds', 'From append to its end.', {
      buckets: LATENCY_BUCKETS_SECONDS,
    });
  }

  /** From the message to its answer. A message has no headers: its event brings the context. */
  async follow(
    { event, connection }: { readonly event: unknown; readonly connection: string },
    publish: (span: Span) => Promise<Stored>,
  ): Promise<Stored> {
    const parent = readTraceContext(Object(event) as TraceCarrier);
    const attributes = { 'tidemark.connection': connection, 'tidemark.transport': 'websocket' };
    const options = { kind: 'server', parent, attributes } as const;
    try {
      const stored = await this.#tracer.within('publish', options, publish);
      this.#results.inc({ result: stored.duplicate ? 'duplicate' : 'stored' });
      return stored;
    } catch (error) {
      this.#results.inc({ result: asTidemarkError(error).code });
      throw error;
    }
  }

  /** @param append is given the event with the context in which it began */
  async send(
    given: CloudEvent,
    parent: Span,
    append: (event: CloudEvent, context: TraceContext | undefined) => Promise<Stored>,
  ): Promise<Stored> {
    const event = withContext(given, sampledContextOf(parent)) as CloudEvent;
    const endTimer = this.#seconds.startTimer();
    try {
      return await traceSend(this.#tracer, {
        event,
        parent,
        append: (context) => append(event, context),
      });
    } finally {
      endTimer();
    }
  }
}
