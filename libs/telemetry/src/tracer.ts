import {
  type Attributes,
  type Context,
  INVALID_SPAN_CONTEXT,
  type Link,
  type Tracer as OpenTelemetryTracer,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { isSampled, parseTraceparent } from './traceparent.ts';

export type { Attributes, Span };

/** Stands in for every span while tracing is off: one object, which does nothing. */
export const NO_SPAN: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

export interface SpanOptions {
  readonly kind?: keyof typeof KINDS;
  /** A span of this process, or the `traceparent` of another's; without one a trace begins. */
  readonly parent?: Span | string | undefined;
  /** The `traceparent` of each span that this one has to do with. */
  readonly links?: readonly string[];
  readonly attributes?: Attributes;
  /** Milliseconds since 1970; now, where absent. */
  readonly startMs?: number;
}

/**
 * Makes spans. The context is passed as an argument and never kept in asynchronous storage, which
 * on Node 20 makes every promise of the process dearer.
 */
export class Tracer {
  readonly #tracer: OpenTelemetryTracer | undefined;

  /** Without a tracer of OpenTelemetry it is off: each span is `NO_SPAN`. */
  constructor(tracer?: OpenTelemetryTracer) {
    this.#tracer = tracer;
  }

  get enabled(): boolean {
    return this.#tracer !== undefined;
  }

  /** Whether an event with this `traceparent` is one to follow. */
  follows(traceparent: string | undefined): boolean {
    return this.#tracer !== undefined && traceparent !== undefined && isSampled(traceparent);
  }

  span(name: string, options: SpanOptions = {}): Span {
    if (!this.#tracer) return NO_SPAN;
    const { kind = 'internal', parent, links = [], attributes, startMs } = options;
    return this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        links: links.flatMap(toLink),
        ...(attributes && { attributes }),
        ...(startMs !== undefined && { startTime: startMs }),
      },
      toContext(parent),
    );
  }

  /** Runs the work within a span, which ends with it and tells its error. */
  async within<T>(
    name: string,
    options: SpanOptions,
    work: (span: Span) => T | Promise<T>,
  ): Promise<T> {
    const span = this.span(name, options);
    try {
      return await work(span);
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }
}

/** The context of a span for others to go on with; `undefined` while tracing is off. */
export function traceparentOf(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (span === NO_SPAN) return undefined;
  return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;
}

/** What a log line says of a span; nothing while tracing is off. */
export function traceIds(span: Span): { trace_id?: string; span_id?: string } {
  if (span === NO_SPAN) return {};
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}

/** Marks a span as failed; `error.type` is the stable code where the error has one. */
export function fail(span: Span, error: unknown): void {
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  span.setAttribute('error.type', typeof code === 'string' ? code : (name ?? 'unknown'));
  span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
}

/** Adds what a span turned out to have to do with. */
export function link(span: Span, traceparent: string): void {
  span.addLinks(toLink(traceparent));
}

function toContext(parent: Span | string | undefined): Context {
  if (parent === undefined || parent === NO_SPAN) return ROOT_CONTEXT;
  if (typeof parent !== 'string') return trace.setSpan(ROOT_CONTEXT, parent);
  const remote = parseTraceparent(parent);
  return remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
}

function toLink(traceparent: string): Link[] {
  const context = parseTraceparent(traceparent);
  return context ? [{ context }] : [];
}
