import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';
import type { Request, RequestHandler, Response } from 'express';
import type { AppOptions, BareServe, Endpoint, Operation } from './app.ts';
import type { Authenticate } from './authentication.ts';
import { POSTPONED } from './contract/description.ts';
import type { AnswerError } from './error-response.ts';
import type { CheckHost } from './hosts.ts';
import { beginSpan, type Observe } from './observation.ts';
import { share } from './origins.ts';

/** The paths that web pages may use. Health and metrics are not among them. */
export const API_PATHS = '/v1';

/** Serves a request once its sender is known. */
type Server<Q, S> = (request: Q, response: S) => Promise<void>;

/** What the operations of endpoints are found by: the path, and then the method. */
type ByPath<T> = Map<string, Map<string, T>>;

/**
 * Serves requests whose target is exactly the path of an endpoint, without a query. Express would compare the path with that of
 * every page and endpoint before, which takes as long as to answer.
 */
export function shortcut(
  endpoints: readonly Endpoint[],
  { authenticate, origins = new Set() }: AppOptions,
): RequestHandler {
  const known = findable(endpoints, (endpoint, operation) => ({
    route: { path: endpoint.path },
    serve: server<Request, Response>(endpoint, operation.serve, authenticate),
  }));
  return (request, response, next) => {
    const found = known.get(request.url)?.get(request.method);
    if (!found) return next();
    if (!share(request, response, origins)) return undefined;
    request.route = found.route;
    return found.serve(request, response);
  };
}

/** What a request meets on every way to its endpoint. */
export interface Way {
  readonly observation: Observe;
  readonly checkHost: CheckHost | undefined;
  readonly answerError: AnswerError;
}

/**
 * Serves the same requests without Express, where the operation does not need it. Express gives each request and each
 * answer another prototype, which makes all that Node does with them later slower.
 *
 * @returns whether it serves the request
 */
export function bareShortcut(
  endpoints: readonly Endpoint[],
  { authenticate, origins = new Set() }: AppOptions,
  { observation, checkHost, answerError }: Way,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const known = findable(endpoints, (endpoint, operation) => {
    if (!operation.bare || endpoint.authenticate || endpoint.postpone) return undefined;
    return { path: endpoint.path, serve: bareServer(operation.serve, authenticate) };
  });
  return (request, response) => {
    const found = known.get(request.url ?? '')?.get(request.method ?? '');
    if (!found) return false;
    const observed = observation(request, response);
    const refuse = (error: unknown) => void answerError(error, request, response);
    try {
      checkHost?.(request);
      if (!share(request, response, origins)) return true;
      observed.route = found.path;
      found.serve(request, response).catch(refuse);
    } catch (error) {
      refuse(error);
    }
    return true;
  };
}

/** The first endpoint of a path has its methods, as in Express. */
function findable<T>(
  endpoints: readonly Endpoint[],
  make: (endpoint: Endpoint, operation: Operation) => T | undefined,
): ByPath<T> {
  const known: ByPath<T> = new Map();
  for (const endpoint of endpoints) {
    const { path, methods } = endpoint;
    if (!path.startsWith(`${API_PATHS}/`) || path.includes(':')) continue;
    const byMethod = known.get(path) ?? new Map<string, T>();
    for (const [method, operation] of Object.entries(methods)) {
      const made = make(endpoint, operation);
      if (made && !byMethod.has(method)) byMethod.set(method, made);
    }
    known.set(path, byMethod);
  }
  return known;
}

/** Serves the requests of one method of an endpoint, once their sender is known. */
export function server<Q extends Request, S extends Response>(
  { authenticate, postpone }: Endpoint,
  serve: (request: Q, response: S, principal: Principal) => void | Promise<void>,
  common: Authenticate,
): Server<Q, S> {
  const identify = authenticate ?? common;
  return async (request, response) => {
    let principal: Principal;
    try {
      principal = await identify(request);
      beginSpan(response, { known: true });
    } catch (error) {
      beginSpan(response, { known: false });
      if (!(error instanceof TidemarkError) || !postpone || !POSTPONED.has(error.code)) throw error;
      postpone(request, response, error);
      return;
    }
    await serve(request, response, principal);
  };
}

/** The same with the common authentication. A second `async` function would take 1 KB more for each request. */
function bareServer(
  serve: BareServe,
  identify: Authenticate,
): Server<IncomingMessage, ServerResponse> {
  return (request, response) =>
    identify(request).then(
      (principal) => {
        beginSpan(response, { known: true });
        return serve(request, response, principal);
      },
      (error) => {
        beginSpan(response, { known: false });
        throw error;
      },
    );
}
