import { backoffMs } from './backoff.ts';
import type { Environment } from './environment.ts';
import { type ErrorBody, isRefusal, offlineError, TidemarkClientError } from './errors.ts';
import type { HttpOptions } from './http.ts';
import { pause } from './pause.ts';
import type { TokenKeeper } from './token.ts';
import type { Answer, RequestOptions, Service } from './types.ts';

const ATTEMPTS = 5;
/** An answer that has not come by then does not come: a network may swallow a request. */
const REQUEST_MS = 30_000;

/** Requests over HTTP with the token: the one place that turns answers into errors. */
export class Requests {
  readonly #urls: Readonly<Record<Service, string>>;
  readonly #tokens: TokenKeeper;
  readonly #environment: Environment;
  readonly #traceparent: () => string | undefined;
  readonly #closing: AbortSignal;

  constructor({ urls, tokens, environment, traceparent, closing }: HttpOptions) {
    this.#urls = urls;
    this.#tokens = tokens;
    this.#environment = environment;
    this.#traceparent = traceparent;
    this.#closing = closing;
  }

  /** Tries again what may succeed later, except for POST. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.once(method, path, options);
      } catch (error) {
        const last = method === 'POST' || attempt + 1 >= ATTEMPTS || options.signal?.aborted;
        if (last || !(error instanceof TidemarkClientError) || !error.retryable) throw error;
        await this.pause(attempt, error, options.signal);
      }
    }
  }

  /** Waits before a further attempt, as long as the service asked for at least. */
  async pause(attempt: number, error: TidemarkClientError, signal?: AbortSignal): Promise<void> {
    const ms = Math.max(backoffMs(attempt, this.#environment), error.retryAfterMs ?? 0);
    const ending = this.#either(signal);
    await pause(ms, this.#environment, ending.signal);
    ending.abort();
  }

  /** One attempt; a token that is refused is replaced, once. */
  async once(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const token = await this.#token();
    try {
      return await this.#fetch(method, path, options, token);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#tokens.refuse(token);
    }
    return this.#fetch(method, path, options, await this.#token());
  }

  async #token(): Promise<string> {
    try {
      return await this.#tokens.get();
    } catch (error) {
      throw error instanceof TidemarkClientError ? error : offlineError(error);
    }
  }

  async #fetch(method: string, path: string, options: RequestOptions, token: string) {
    const traceparent = this.#traceparent();
    const { body, headers, signal, service = 'gateway' } = options;
    let response: Response;
    let text: string;
    const tooLate = new AbortController();
    const cancel = this.#environment.timer(() => tooLate.abort(), REQUEST_MS);
    const ending = this.#either(signal, tooLate.signal);
    try {
      response = await this.#environment.fetch(`${this.#urls[service]}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(traceparent && { traceparent }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        signal: ending.signal,
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw offlineError(error);
    } finally {
      cancel();
      ending.abort();
    }
    const parsed = parse(text);
    if (!response.ok) throw refusal(response, parsed);
    return { status: response.status, headers: response.headers, body: parsed };
  }

  /** `AbortSignal.any`, which browsers of 2023 lack. Its abort also ends what listens to the others. */
  #either(...others: (AbortSignal | undefined)[]): AbortController {
    const any = new AbortController();
    for (const one of [this.#closing, ...others]) {
      if (one?.aborted) any.abort(one.reason);
      else one?.addEventListener('abort', () => any.abort(one.reason), { signal: any.signal });
    }
    return any;
  }
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a proxy answers has no code: its status stands for one. */
export function refusal(response: Response, body: unknown): TidemarkClientError {
  const { status, headers } = response;
  const known = body as ErrorBody | undefined;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const retryAfterMs = Number.isNaN(seconds) ? undefined : seconds * 1000;
  if (typeof known?.code === 'string') return new TidemarkClientError(known, { retryAfterMs });
  const retryable = status >= 500 || status === 429 || status === 408;
  const code = retryable ? 'unavailable' : status === 401 ? 'unauthenticated' : 'internal';
  const message = `The answer is ${status}.`;
  return new TidemarkClientError({ code, message, retryable }, { retryAfterMs });
}
