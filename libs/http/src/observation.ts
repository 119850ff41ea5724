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
import type { Request, RequestHandler, Response } from 'express';

/** Only requests of clients get spans, not those of probes and of Prometheus. */
const TRACED_PATHS = '/v1/';

export interface ObservationOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer?: Tracer;
}

/** The span of a request, as parent for spans of its parts. `NO_SPAN` while tracing is off. */
export function spanOf(response: Response): Span {
  return response.locals.span ?? NO_SPAN;
}

/**
 * Counts, logs and traces each answer when it ends. None of them shows the query, which may hold a token.
 * The metric's label is the route's pattern, so that invented paths add no series.
 */
export function observe(options: ObservationOptions): RequestHandler {
  const { logger, metrics, tracer = new Tracer() } = options;
  const answers = metrics.counter('http_answers_total', 'HTTP requests answered.', [
    'route',
    'status',
  ]);
  return (request, response, next) => {
    const startMs = performance.now();
    const { method, path } = request;
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
    if (path.startsWith(TRACED_PATHS)) {
      response.locals.begin = prepareSpan(tracer, request);
    }
    // It comes once, and `once` would make three objects more.
    response.on('close', () => {
      const status = response.statusCode;
      const durationMs = Math.round(performance.now() - startMs);
      const route = request.route?.path ?? 'none';
      beginSpan(response, { known: false });
      answers.inc({ route, status });
      const finished = response.writableFinished;
      if (logger.isLevelEnabled('debug')) {
        const ids = traceIds(spanOf(response));
        logger.debug({ method, path, status, durationMs, finished, ...ids }, 'answered');
      }
      endRequestSpan(response, route);
    });
    next();
  };
}

/**
 * Begins the span of a request, once it is known who sends it. The request decides whether its trace is
 * recorded only where its token is valid: whoever sends no token could otherwise have everything traced.
 */
export function beginSpan(response: Response, sender: { readonly known: boolean }): void {
  const begin: BeginSpan | undefined = response.locals.begin;
  if (begin) response.locals.span ??= begin(sender);
}

/** Ends the span of a request early, where the answer lasts much longer than the request. */
export function endRequestSpan(response: Response, route: string): void {
  const span = spanOf(response);
  if (!span.isRecording()) return;
  const status = response.statusCode;
  span.updateName(`${response.req.method} ${route}`);
  span.setAttributes({ 'http.route': route, 'http.response.status_code': status });
  if (status >= 500) fail(span, { code: String(status) });
  span.end();
}

type BeginSpan = (sender: { readonly known: boolean }) => Span;

function prepareSpan(tracer: Tracer, request: Request): BeginSpan | undefined {
  if (!tracer.enabled) return undefined;
  const { method, path } = request;
  const startMs = Date.now();
  return ({ known }) =>
    tracer.span(method, {
      kind: 'server',
      startMs,
      parent: known ? readTraceContext(request.headers) : readUnsampledContext(request.headers),
      attributes: { 'http.request.method': method, 'url.path': path },
    });
}
