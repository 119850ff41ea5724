import { messageOf } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import type { ServiceName, Target } from '../profile/target.ts';
import { errorOf, offline, ServiceError } from './service-error.ts';

/** A request to a service. */
export interface ApiRequest {
  /** The gateway if absent. */
  readonly service?: ServiceName;
  readonly method?: string;
  readonly path: string;
  /** What is `undefined` or empty is left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Becomes JSON. */
  readonly body?: unknown;
  /** Goes out as it is, in place of `body`. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Attempts where it may succeed later; 4 for GET and 1 for others if absent. */
  readonly attempts?: number;
  /** Reads the answer; `JSON.parse` if absent. */
  readonly parse?: (text: string) => unknown;
  /** How long until the answer begins; 30 s if absent. */
  readonly timeoutMs?: number;
}

/** What a service answered. */
export interface ApiAnswer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** What the client is made from. */
export interface ApiOptions extends Pick<Target, 'urls' | 'token'> {
  readonly signal: AbortSignal;
  /** Hears that it waits before a further attempt. */
  readonly onRetry?: (error: ServiceError, ms: number) => void;
}

const REQUEST_MS = 30_000;
const READ_ATTEMPTS = 4;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** Requests with the token: the one place that turns answers into errors. */
export class Api {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** The base URL of a service. */
  url(service: ServiceName): string {
    return this.#options.urls[service];
  }

  /** Sends a request and parses the answer. @throws ServiceError; the reason of the signal where that ends it */
  async send<Body>(request: ApiRequest): Promise<ApiAnswer<Body>> {
    const { response, text } = await this.#repeat(request, async () => {
      const response = await this.#openWithToken(request);
      return { response, text: await this.#read(request, response) };
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (text === ''
        ? undefined
        : parseWith(request.parse, text, this.#address(request))) as Body,
    };
  }

  /** Sends a request and hands on the answer, whose body may have no end. */
  open(request: ApiRequest): Promise<Response> {
    return this.#repeat(request, () => this.#openWithToken(request));
  }

  async #repeat<T>(request: ApiRequest, attemptOnce: () => Promise<T>): Promise<T> {
    const { method = 'GET', attempts = method === 'GET' ? READ_ATTEMPTS : 1 } = request;
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptOnce();
      } catch (error) {
        if (!(error instanceof ServiceError) || !error.retryable || attempt >= attempts)
          throw error;
        const backoffMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
        const ms = Math.min(LONGEST_PAUSE_MS, Math.max(backoffMs, error.retryAfterMs ?? 0));
        this.#options.onRetry?.(error, ms);
        await wait(ms, this.#options.signal);
      }
    }
  }

  /** A refused token is replaced, once. */
  async #openWithToken(request: ApiRequest): Promise<Response> {
    const { token } = this.#options;
    const first = await token.get();
    try {
      return await this.#fetch(request, first);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== 401) throw error;
      token.refuse(first);
      const second = await token.get();
      if (second === first) throw error;
      return this.#fetch(request, second);
    }
  }

  async #fetch(request: ApiRequest, token: string): Promise<Response> {
    const { method = 'GET', body, headers, timeoutMs = REQUEST_MS } = request;
    const text = request.text ?? (body === undefined ? undefined : JSON.stringify(body));
    const { signal } = this.#options;
    const url = this.#address(request);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeoutMs);
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(text !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(text !== undefined && { body: text }),
        signal: AbortSignal.any([signal, late.signal]),
      });
    } catch (error) {
      signal.throwIfAborted();
      const reason = late.signal.aborted ? `within ${timeoutMs / 1000} s` : messageOf(error);
      throw offline(new URL(url).origin, reason);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    throw await errorOf(new URL(url).origin, response);
  }

  async #read(request: ApiRequest, response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      this.#options.signal.throwIfAborted();
      throw offline(new URL(this.#address(request)).origin, messageOf(error));
    }
  }

  #address({ service = 'gateway', path, query = {} }: ApiRequest): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== '') parameters.set(name, value);
    }
    const text = parameters.toString();
    return `${this.url(service)}${path}${text && `?${text}`}`;
  }
}

function parseWith(parse: ApiRequest['parse'] = JSON.parse, text: string, url: string): unknown {
  try {
    return parse(text);
  } catch {
    throw new ServiceError(`${url} answers with something that is no JSON: is it Tidemark?`, {
      code: 'unavailable',
      status: 502,
      retryable: false,
    });
  }
}
