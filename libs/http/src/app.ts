import type { Principal } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics, Tracer } from '@tidemark/telemetry';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { Authenticate } from './authentication.ts';
import { answerErrors } from './error-response.ts';
import { observe } from './observation.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Answers one request of a principal. What it throws becomes the JSON answer. */
export type Serve = (
  request: Request,
  response: Response,
  principal: Principal,
) => void | Promise<void>;

/** A path and what it does; other methods are answered 405, and each needs a token. */
export interface Endpoint {
  readonly path: string;
  readonly methods: Readonly<Partial<Record<Method, Serve>>>;
}

export interface AppOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Makes a span of each request; none, where absent. */
  readonly tracer?: Tracer;
  readonly authenticate: Authenticate;
  /** What `/readyz` asks, by name: ready means that all are true. */
  readonly checks: Readonly<Record<string, () => boolean>>;
  readonly endpoints: readonly Endpoint[];
}

/** The application of a service: its endpoints, health, readiness and metrics, errors as JSON. */
export function createApp(options: AppOptions): Express {
  const { log, metrics, authenticate, checks, endpoints } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(observe(options));
  addOpen(app, '/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  addOpen(app, '/readyz', (_request, response) => answerReadiness(response, checks));
  addOpen(app, '/metrics', async (_request, response) => {
    const text = await metrics.registry.metrics();
    response.set('Content-Type', metrics.registry.contentType).end(text);
  });
  for (const endpoint of endpoints) addEndpoint(app, endpoint, authenticate);
  app.use((request) => {
    throw new TidemarkError('not_found', `There is no ${request.path} here.`);
  });
  app.use(answerErrors(log));
  return app;
}

function addOpen(app: Express, path: string, serve: RequestHandler): void {
  app
    .route(path)
    .get(serve)
    .all(refuseMethod(['GET']));
}

function addEndpoint(app: Express, { path, methods }: Endpoint, authenticate: Authenticate): void {
  const route = app.route(path);
  for (const [method, serve] of Object.entries(methods)) {
    route[method.toLowerCase() as Lowercase<Method>](async (request, response) => {
      await serve(request, response, await authenticate(request));
    });
  }
  route.all(refuseMethod(Object.keys(methods)));
}

function refuseMethod(allowed: readonly string[]): RequestHandler {
  const allow = allowed.flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name])).join(', ');
  return (request, response) => {
    response.set('Allow', allow);
    throw new TidemarkError(
      'method_not_allowed',
      `${request.path} takes ${allow}, not ${request.method}.`,
    );
  };
}

function answerReadiness(response: Response, checks: AppOptions['checks']): void {
  const results = Object.entries(checks).map(([name, check]) => [name, check()] as const);
  const ready = results.every(([, result]) => result);
  response.status(ready ? 200 : 503).json({ ready, checks: Object.fromEntries(results) });
}
