import type { IncomingMessage, ServerResponse } from 'node:http';
import { readTraceContext, readUnsampledContext } from '@tidemark/protocol';
import {
  fail,
  type Logger,
  type Metrics,
  NO_SPAN,
  type Span,
  Tracer,
  traceIds,
} from '@tidemark/telemetry';

/** Only requests of clients get spans, not those of probes and of Prometheus. */
const TRACED_PATHS = '/v1/';

export interface ObservationOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer?: Tracer;
}

/** What Express adds to a request. */
interface Routed {
  readonly path?: string;
  readonly route?: { readonly path: string };
}

/** An answer with the span of its request. Express makes `locals` for every answer. */
interface Traced {
  locals?: { begin?: BeginSpan | undefined; span?: Span };
}

/** What is known of a request while it is served. */
export interface Observed {
  /** The pattern of its route, where nobody else names it. */
  route: string | undefined;
}

/** Begins to observe a request. */
export type Observe = (request: IncomingMessage, response: ServerResponse) => Observed;

/** The span of a request, as parent for spans of its parts. `NO_SPAN` while tracing is off. */
export function spanOf(response: ServerResponse): Span {
  return (response as Traced).locals?.span ?? NO_SPAN;
}

/** The path of a request, without its query. */
export function pathOf(request: IncomingMessage): string {
  const { url = '' } = request;
  // Express knows targets of other forms.
  return (request as Routed).path ?? url.split('?', 1)[0] ?? '';
}

/**
 * Counts, logs and traces each answer when it ends. None of them shows the query, which may hold a token.
 * The metric's label is the route's pattern, so that invented paths add no series.
 */
export function observe(options: ObservationOptions): Observe {
  const { logger, metrics, tracer = new Tracer() } = options;
  const answers = metrics.counter('http_answers_total', 'HTTP requests answered.', [
    'route',
    'status',
  ]);
  return (request, response) => {
    const startMs = performance.now();
    const { method } = request;
    const path = pathOf(request);
    const observed: Observed = { route: undefined };
    if (tracer.enabled && path.startsWith(TRACED_PATHS)) {
      const traced = response as Traced;
      traced.locals ??= {};
      traced.locals.begin = prepareSpan(tracer, request, path);
    }
    // It comes once, and `once` would make three objects more.
    response.on('close', () => {
      const status = response.statusCode;
      const route = observed.route ?? (request as Routed).route?.path ?? 'none';
      beginSpan(response, { known: false });
      answers.inc({ route, status });
      if (logger.isLevelEnabled('debug')) {
        const durationMs = Math.round(performance.now() - startMs);
        const finished = response.writableFinished;
        const ids = traceIds(spanOf(response));
        logger.debug({ method, path, status, durationMs, finished, ...ids }, 'answered');
      }
      endRequestSpan(response, route);
    });
    return observed;
  };
}

/**
 * Begins the span of a request, once it is known who sends it. The request decides whether its trace is
 * recorded only where its token is valid: whoever sends no token could otherwise have everything traced.
 */
export function beginSpan(response: ServerResponse, sender: { readonly known: boolean }): void {
  const { locals } = response as Traced;
  if (locals?.begin) locals.span ??= locals.begin(sender);
}

/** Ends the span of a request early, where the answer lasts much longer than the request. */
export function endRequestSpan(response: ServerResponse, route: string): void {
  const span = spanOf(response);
  if (!span.isRecording()) return;
  const status = response.statusCode;
  span.updateName(`${response.req.method} ${route}`);
  span.setAttributes({ 'http.route': route, 'http.response.status_code': status });
  if (status >= 500) fail(span, { code: String(status) });
  span.end();
}

type BeginSpan = (sender: { readonly known: boolean }) => Span;

function prepareSpan(tracer: Tracer, request: IncomingMessage, path: string): BeginSpan {
  const { method = '' } = request;
  const startMs = Date.now();
  return ({ known }) =>
    tracer.span(method, {
      kind: 'server',
      startMs,
      parent: known ? readTraceContext(request.headers) : readUnsampledContext(request.headers),
      attributes: { 'http.request.method': method, 'url.path': path },
    });
}
