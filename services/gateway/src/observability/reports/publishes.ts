import type { AppendedEvent } from '@tidemark/nats';
import { asTidemarkError, readTraceContext, type TraceCarrier } from '@tidemark/protocol';
import type { Metrics, Span, Tracer } from '@tidemark/telemetry';

/** Traces and counts the events that clients publish over WebSocket, as ingest does for HTTP. */
export class Publishes {
  readonly #tracer: Tracer;
  readonly #results;

  constructor({ metrics, tracer }: { readonly metrics: Metrics; readonly tracer: Tracer }) {
    this.#tracer = tracer;
    this.#results = metrics.counter(
      'gateway_publishes_total',
      'Events that clients published, by outcome.',
      ['result'],
    );
  }

  /** Traces from the message to its answer. A message has no headers; its event has the context. */
  async follow(
    { event, connection }: { readonly event: unknown; readonly connection: string },
    publish: (span: Span) => Promise<AppendedEvent>,
  ): Promise<AppendedEvent> {
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
}
