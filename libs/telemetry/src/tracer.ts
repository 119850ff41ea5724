import {
  type Attributes,
  type Context,
  createTraceState,
  INVALID_SPAN_CONTEXT,
  type Link,
  type Tracer as OpenTelemetryTracer,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { isSampled, type TraceContext } from '@tidemark/protocol';

export type { Attributes, Span };

/** The span of everything while tracing is off. It does nothing. */
export const NO_SPAN: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/** How a span begins. */
export interface SpanOptions {
  readonly kind?: keyof typeof KINDS;
  /** A span of this process, or the context of another process. Without it a trace begins. */
  readonly parent?: Span | TraceContext | undefined;
  /** Related spans. */
  readonly links?: readonly TraceContext[];
  readonly attributes?: Attributes;
  /** Milliseconds since 1970; now if absent. */
  readonly startMs?: number;
}

/**
 * Creates spans. Callers pass the parent as an argument. Asynchronous storage would make every promise of
 * the process slower on Node 22.
 */
export class Tracer {
  readonly #tracer: OpenTelemetryTracer | undefined;

  /** Without a tracer of OpenTelemetry tracing is off, and each span is `NO_SPAN`. */
  constructor(tracer?: OpenTelemetryTracer) {
    this.#tracer = tracer;
  }

  /** Whether tracing is on. */
  get enabled(): boolean {
    return this.#tracer !== undefined;
  }

  /** Whether an event with this `traceparent` is traced: tracing is on, and its trace is sampled. */
  follows(traceparent: string | undefined): boolean {
    return this.#tracer !== undefined && traceparent !== undefined && isSampled(traceparent);
  }

  /** Starts a span, which the caller ends. */
  span(name: string, options: SpanOptions = {}): Span {
    if (!this.#tracer) return NO_SPAN;
    const { kind = 'internal', parent, links = [], attributes, startMs } = options;
    return this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        links: links.map(toLink),
        ...(attributes && { attributes }),
        ...(startMs !== undefined && { startTime: startMs }),
      },
      toContext(parent),
    );
  }

  /**
   * Runs the work in a span, which ends with it and records its error.
   *
   * @throws what the work throws
   */
  async within<T>(
    name: string,
    options: SpanOptions,
    work: (span: Span) => T | Promise<T>,
  ): Promise<T> {
    if (!this.#tracer) return work(NO_SPAN);
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

/** The context of a span, for other processes to continue; `undefined` while tracing is off. */
export function contextOf(span: Span): TraceContext | undefined {
  if (span === NO_SPAN) return undefined;
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${flagsOf(traceFlags)}`;
  const tracestate = traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The context of a span whose trace is sampled; `undefined` for others. */
export function sampledContextOf(span: Span): TraceContext | undefined {
  const context = contextOf(span);
  return context && isSampled(context.traceparent) ? context : undefined;
}

/** The fields that name a span in a log line; none while tracing is off. */
export function traceIds(span: Span): {
  trace_id?: string;
  span_id?: string;
  /** `01` where the trace is sampled, and can be found. */
  trace_flags?: string;
} {
  if (span === NO_SPAN) return {};
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { trace_id: traceId, span_id: spanId, trace_flags: flagsOf(traceFlags) };
}

function flagsOf(traceFlags: number): string {
  return traceFlags & TraceFlags.SAMPLED ? '01' : '00';
}

/**
 * Marks a span as failed. `error.type` is the stable code where the error has one. The message of an
 * error with a code is left out, because it may quote the request.
 */
export function fail(span: Span, error: unknown): void {
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  const isCoded = typeof code === 'string';
  span.setAttribute('error.type', isCoded ? code : (name ?? 'unknown'));
  const shown = isCoded ? undefined : message;
  span.setStatus({ code: SpanStatusCode.ERROR, ...(shown !== undefined && { message: shown }) });
}

/** Links a span to a related one that was found after its start. */
export function link(span: Span, context: TraceContext): void {
  span.addLink(toLink(context));
}

function toContext(parent: Span | TraceContext | undefined): Context {
  if (parent === undefined || parent === NO_SPAN) return ROOT_CONTEXT;
  if (!('traceparent' in parent)) return trace.setSpan(ROOT_CONTEXT, parent);
  return trace.setSpanContext(ROOT_CONTEXT, toSpanContext(parent));
}

function toLink(context: TraceContext): Link {
  return { context: toSpanContext(context) };
}

function toSpanContext({ traceparent, tracestate }: TraceContext): SpanContext {
  const [, traceId = '', spanId = ''] = traceparent.split('-');
  return {
    traceId,
    spanId,
    traceFlags: isSampled(traceparent) ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  };
}
