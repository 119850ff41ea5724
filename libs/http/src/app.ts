import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Principal } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics, Tracer } from '@tidemark/telemetry';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { Authenticate } from './authentication.ts';
import { answerErrors, toErrorResponse } from './error-response.ts';
import type { Limits } from './limits.ts';
import { observe } from './observation.ts';
import { type Origins, shareWith } from './origins.ts';

/** Health and metrics are for no page. */
const API_PATHS = '/v1';

/** What passes while the client waits. */
const POSTPONED: ReadonlySet<string> = new Set(['unavailable', 'limit_exceeded']);

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
  /** Where it tells who asks in another way than the rest. */
  readonly authenticate?: (request: Request) => Promise<Principal>;
  /** Answers while a limit is reached, and while it cannot be told who asks; with the error's status if absent. */
  readonly postpone?: (request: Request, response: Response, error: TidemarkError) => void;
}

export interface AppOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Makes a span of each request; none, where absent. */
  readonly tracer?: Tracer;
  readonly authenticate: Authenticate;
  /** What `/readyz` asks, by name: ready means that all are true. */
  readonly checks: Readonly<Record<string, () => boolean>>;
  readonly endpoints: readonly Endpoint[];
  /** The web pages that may use the endpoints; none, where absent. */
  readonly origins?: Origins;
  /** Told when a request is too large. */
  readonly limits?: Limits;
  /** The endpoints of the admin port, which also has the metrics. */
  readonly adminEndpoints?: readonly Endpoint[];
}

/** The application of a service and that of its admin port. */
export interface Apps {
  readonly app: RequestListener;
  /** Absent where no admin port is configured; the application then has the admin endpoints as well. */
  readonly admin?: RequestListener;
}

/** One application for all: endpoints, admin endpoints, health, readiness and metrics, errors as JSON. */
export function createApp(options: AppOptions): RequestListener {
  const build = builder(options);
  return build([...options.endpoints, ...(options.adminEndpoints ?? [])], { metrics: true });
}

/** With an admin port, admin endpoints and metrics are on that port only. */
export function createApps(
  options: AppOptions,
  { adminPort }: { readonly adminPort: number },
): Apps {
  if (adminPort === 0) return { app: createApp(options) };
  const build = builder(options);
  return {
    app: build(options.endpoints, { metrics: false }),
    admin: build(options.adminEndpoints ?? [], { metrics: true }),
  };
}

function builder(options: AppOptions) {
  const observation = observe(options);
  return (endpoints: readonly Endpoint[], shown: { readonly metrics: boolean }) => {
    const app = createBare(observation);
    addHealth(app, options.checks);
    if (shown.metrics) addMetrics(app, options.metrics);
    app.use(API_PATHS, shareWith(options.origins ?? new Set()));
    for (const endpoint of endpoints) addEndpoint(app, endpoint, options.authenticate);
    app.use((request) => {
      throw new TidemarkError('not_found', `There is no ${request.path} here.`);
    });
    app.use(answerErrors(options.logger, options.limits));
    return withoutPages(app);
  };
}

/**
 * A target that express cannot read as a URL passes all of the application by, and would be answered
 * with a page of HTML.
 */
function withoutPages(app: Express): RequestListener {
  const error = new TidemarkError('invalid_query', 'The target of the request is no URL.');
  const { status, body } = toErrorResponse(error);
  const text = JSON.stringify(body);
  const headers = {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  };
  const refuse = (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, headers).end(text);
  };
  return (request, response) =>
    app(request as Request, response as Response, () => refuse(request, response));
}

function createBare(observation: RequestHandler): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(observation);
  return app;
}

function addHealth(app: Express, checks: AppOptions['checks']): void {
  addOpen(app, '/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  addOpen(app, '/readyz', (_request, response) => answerReadiness(response, checks));
}

function addMetrics(app: Express, { registry }: Metrics): void {
  addOpen(app, '/metrics', async (_request, response) => {
    const text = await registry.metrics();
    response.set('Content-Type', registry.contentType).end(text);
  });
}

function addOpen(app: Express, path: string, serve: RequestHandler): void {
  app
    .route(path)
    .get(serve)
    .all(refuseMethod(['GET']));
}

function addEndpoint(app: Express, endpoint: Endpoint, common: Authenticate): void {
  const { path, methods, authenticate = common, postpone } = endpoint;
  const route = app.route(path);
  for (const [method, serve] of Object.entries(methods)) {
    route[method.toLowerCase() as Lowercase<Method>](async (request, response) => {
      let principal: Principal;
      try {
        principal = await authenticate(request);
      } catch (error) {
        if (!(error instanceof TidemarkError) || !postpone || !POSTPONED.has(error.code))
          throw error;
        postpone(request, response, error);
        return;
      }
      await serve(request, response, principal);
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
