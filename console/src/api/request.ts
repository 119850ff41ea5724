import { type ServiceName, serviceUrl } from './configuration.ts';
import { currentToken, end } from './session.ts';

/** An answer that has not come by then does not come: a network may swallow a request. */
const REQUEST_MS = 20_000;

/** Why a request failed: the code of PROTOCOL 9.1, or `offline` where nothing answered. */
export class ApiError extends Error {
  readonly code: string;
  /** HTTP's status; 0 where nothing answered. */
  readonly status: number;

  constructor(code: string, message: string, status: number) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
  }
}

type Method = 'GET' | 'POST' | 'DELETE';

export interface CallOptions {
  /** If absent: `page` for what operators call and for `/v1/me`, which may be on an admin port, or else `gateway`. */
  readonly service?: ServiceName;
  /** Parameters; those that are `undefined` or empty are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Sends one request with the token of the session, and gives the JSON of the answer (`undefined` where it has none).
 *
 * @param path begins with `/v1/`
 * @throws {ApiError} for an answer other than 2xx; a token that is refused ends the session
 */
export async function call<Answer>(
  method: Method,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  return (await callWithHeaders<Answer>(method, path, options)).answer;
}

/** As `call`, and gives the headers of the answer too. */
export async function callWithHeaders<Answer>(
  method: Method,
  path: string,
  options: CallOptions,
): Promise<{ readonly answer: Answer; readonly headers: Headers }> {
  const response = await open(method, path, options, AbortSignal.timeout(REQUEST_MS));
  const text = await response.text().catch((error: unknown) => {
    throw offline(error);
  });
  const answer = (text === '' ? undefined : JSON.parse(text)) as Answer;
  return { answer, headers: response.headers };
}

/**
 * As `call`, but gives the answer while it is still coming.
 *
 * @param limit ends the request like `options.signal`, but as an error
 */
export async function open(
  method: Method,
  path: string,
  { service = usualService(path), query, body, headers, signal }: CallOptions,
  limit?: AbortSignal,
): Promise<Response> {
  const token = currentToken();
  const signals = [signal, limit].filter((one) => one !== undefined);
  const response = await fetch(address(service, path, query), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.any(signals),
    cache: 'no-store',
    credentials: 'omit',
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw offline(error);
  });
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401 && token === currentToken()) end(error.message);
  throw error;
}

function usualService(path: string): ServiceName {
  return path.startsWith('/v1/admin/') || path === '/v1/me' ? 'page' : 'gateway';
}

function address(service: ServiceName, path: string, query: CallOptions['query'] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `${serviceUrl(service)}${path}${text && `?${text}`}`;
}

/** What a proxy answers has no code: its status stands for one. */
async function refusal(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => undefined)) as
    | { code?: unknown; message?: unknown }
    | undefined;
  const { status } = response;
  const code = typeof body?.code === 'string' ? body.code : 'unavailable';
  const message = typeof body?.message === 'string' ? body.message : `The answer is ${status}.`;
  return new ApiError(code, message, status);
}

function offline(cause: unknown): ApiError {
  const isLate = cause instanceof DOMException && cause.name === 'TimeoutError';
  const message = isLate ? 'There was no answer in time.' : 'The service cannot be reached.';
  return new ApiError('offline', message, 0);
}
