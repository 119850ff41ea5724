import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Principal } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics, Tracer } from '@tidemark/telemetry';
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Authenticate } from './authentication.ts';
import type { Channel } from './contract/asyncapi.ts';
import type { Credential, Description } from './contract/description.ts';
import { answerErrors, toErrorResponse } from './error-response.ts';
import type { CheckHost } from './hosts.ts';
import { setSteadyHeaders } from './json-answer.ts';
import type { Limits } from './limits.ts';
import { type Observe, observe } from './observation.ts';
import { type Origins, share } from './origins.ts';
import { documentPages, healthPages, metricsPage, type OpenPage } from './pages.ts';
import type { RefusalLog } from './refusal-log.ts';
import { API_PATHS, bareShortcut, server, shortcut } from './shortcut.ts';

/** An HTTP method that an endpoint may have. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Answers one request of a principal. What it throws becomes a JSON answer. */
export type Serve = (
  request: Request,
  response: Response,
  principal: Principal,
) => void | Promise<void>;

/**
 * Answers one request of a principal without what Express adds to requests and answers, which takes as long as a
 * small answer itself. It answers with `answerJson` or `answerEmpty`, which write the headers that all answers have.
 */
export type BareServe = (
  request: IncomingMessage,
  response: ServerResponse,
  principal: Principal,
) => void | Promise<void>;

/** A method of an endpoint: what serves it, and its description for the service's document. */
export type Operation = Description &
  (
    | { readonly serve: Serve; readonly bare?: false }
    | { readonly serve: BareServe; readonly bare: true }
  );

/** How an endpoint answers OPTIONS requests, with the description of the answers. */
export interface OptionsOperation extends Description {
  /** @returns false for a request that it does not answer, which is then answered with 405 */
  readonly answer: (request: Request, response: Response) => boolean;
}

/** A path with its methods. Each needs a token, and other methods are answered with 405. */
export interface Endpoint {
  readonly path: string;
  readonly methods: Readonly<Partial<Record<Method, Operation>>>;
  /** Answers OPTIONS requests, which need no token. */
  readonly options?: OptionsOperation;
  /** Replaces the application's authentication. */
  readonly authenticate?: (request: Request) => Promise<Principal>;
  /** What that takes; a token if absent. */
  readonly credentials?: readonly Credential[];
  /**
   * Answers when authentication fails with `unavailable` or `limit_exceeded`. Without it the answer has
   * the error's status.
   */
  readonly postpone?: (request: Request, response: Response, error: TidemarkError) => void;
}

/** What an application is built from. */
export interface AppOptions {
  /** What `/healthz` says; absent there if absent. */
  readonly version?: string;
  /** What the documents are about. */
  readonly service?: string;
  /** What the AsyncAPI document has besides; no channels if absent. */
  readonly channels?: readonly Channel[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Makes a span of each request; no spans if absent. */
  readonly tracer?: Tracer;
  readonly authenticate: Authenticate;
  /** The checks of `/readyz` by name. The service is ready while all are true. */
  readonly checks: Readonly<Record<string, () => boolean>>;
  readonly endpoints: readonly Endpoint[];
  /** What it answers to a GET without a token, besides health, metrics and documents; not on the admin port. */
  readonly pages?: readonly OpenPage[];
  /** The web pages that may use the endpoints; none if absent. */
  readonly origins?: Origins;
  /** Has the lines about refused requests; one of its own if absent. */
  readonly refusalLog?: RefusalLog;
  /** The address that a refused request counts for; that of the socket if absent. */
  readonly addressOf?: (request: IncomingMessage) => string | undefined;
  /** Is told when a request is too large. */
  readonly limits?: Limits;
  /** The endpoints of the admin port, which also has the metrics. */
  readonly adminEndpoints?: readonly Endpoint[];
  /** What both ports have; the one port where there is no admin port. */
  readonly commonEndpoints?: readonly Endpoint[];
  /** Pages of the admin port; of the one port where there is none. */
  readonly adminPages?: readonly OpenPage[];
  /** How old the metrics may be that `/metrics` answers with, in ms; 0 if absent. */
  readonly metricsCacheMs?: number;
  /** What `/metrics` answers; the metrics of this process if absent. */
  readonly collectMetrics?: () => Promise<string>;
  /** Refuses requests to other names than those of the service, and of the admin port; none if absent. */
  readonly checkHost?: CheckHost;
  readonly checkAdminHost?: CheckHost;
}

/** The application of a service and that of its admin port. */
export interface Apps {
  readonly app: RequestListener;
  /** Absent where no admin port is configured; the application then has the admin endpoints as well. */
  readonly admin?: RequestListener;
}

/** Creates one application with the endpoints, the admin endpoints, health, readiness and metrics. */
export function createApp(options: AppOptions): RequestListener {
  const build = builder(options);
  const { checkHost, channels, commonEndpoints = [], adminEndpoints = [] } = options;
  const endpoints = [...options.endpoints, ...commonEndpoints, ...adminEndpoints];
  const pages = [...(options.pages ?? []), ...(options.adminPages ?? [])];
  return build(endpoints, { metrics: true, checkHost, channels, pages });
}

/**
 * Creates the applications of a service. With an admin port, admin endpoints and metrics are on that port
 * only.
 *
 * @param adminPort 0 means that there is none
 */
export function createApps(
  options: AppOptions,
  { adminPort }: { readonly adminPort: number },
): Apps {
  if (adminPort === 0) return { app: createApp(options) };
  const build = builder(options);
  const { checkHost, channels, commonEndpoints = [], adminEndpoints = [] } = options;
  return {
    app: build([...options.endpoints, ...commonEndpoints], {
      metrics: false,
      checkHost,
      channels,
      pages: options.pages,
    }),
    admin: build([...commonEndpoints, ...adminEndpoints], {
      metrics: true,
      channels: [],
      pages: options.adminPages,
      checkHost: options.checkAdminHost,
    }),
  };
}

interface Shown {
  readonly metrics: boolean;
  readonly checkHost: CheckHost | undefined;
  readonly channels: AppOptions['channels'];
  readonly pages?: AppOptions['pages'];
}

function builder(options: AppOptions) {
  const observation = observe(options);
  return (
    endpoints: readonly Endpoint[],
    { metrics, checkHost, channels = [], pages = [] }: Shown,
  ): RequestListener => {
    const app = createBare(observation);
    if (checkHost) app.use((request, _response, next) => next(checkHost(request)));
    const answerError = answerErrors(options);
    app.use(shortcut(endpoints, options));
    const open = [...healthPages(options), ...(metrics ? [metricsPage(options)] : []), ...pages];
    for (const page of [
      ...open,
      ...documentPages({ ...options, channels }, [...open, ...endpoints]),
    ]) {
      addPage(app, page);
    }
    const origins = options.origins ?? new Set();
    app.use(API_PATHS, (request, response, next) => {
      if (share(request, response, origins)) next();
    });
    for (const endpoint of endpoints) addEndpoint(app, endpoint, options.authenticate);
    app.use((request) => {
      throw new TidemarkError('not_found', `There is no ${request.path} here.`);
    });
    app.use((error: unknown, request: Request, response: Response, _next: NextFunction) =>
      answerError(error, request, response),
    );
    const serveBare = bareShortcut(endpoints, options, { observation, checkHost, answerError });
    const serve = withoutPages(app);
    return (request, response) => {
      if (!serveBare(request, response)) serve(request, response);
    };
  };
}

/** Answers targets that express cannot parse. Express itself would answer with a page of HTML. */
function withoutPages(app: Express): RequestListener {
  const error = new TidemarkError('invalid_query', 'The target of the request is not a URL.');
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

function createBare(observe: Observe): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use((request, response, next) => {
    setSteadyHeaders(response);
    observe(request, response);
    next();
  });
  return app;
}

function addPage(app: Express, { path, serve }: OpenPage): void {
  app
    .route(path)
    .get(serve)
    .all(refuseMethod(['GET']));
}

function addEndpoint(app: Express, endpoint: Endpoint, common: Authenticate): void {
  const { path, methods, options } = endpoint;
  const route = app.route(path);
  for (const [method, { serve }] of Object.entries(methods)) {
    route[method.toLowerCase() as Lowercase<Method>](server(endpoint, serve, common));
  }
  if (options) {
    route.options((request, response, next) => {
      if (!options.answer(request, response)) next();
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
