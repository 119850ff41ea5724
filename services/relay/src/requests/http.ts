import type { ErrorBody } from '@tidemark/protocol';
import type { Token } from './token.ts';

/** Most bytes of an answer. A page of replay ends soon after 8 MiB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Longest `Retry-After` that is kept to, in ms. */
const RETRY_AFTER_MS_MAX = 60_000;

/** What requests are made with. */
export interface RequestOptions {
  readonly token: Token;
  readonly requestTimeoutMs: number;
  /** Ends the request. */
  readonly signal: AbortSignal;
}

/** One request. */
export interface RelayRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer whose body is JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
  /** The body of an error; `undefined` where it is none of Tidemark's. */
  readonly error: ErrorBody | undefined;
  readonly retryAfterMs: number;
}

/** There was no answer, or one that nobody of Tidemark gives. The request may be repeated. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** Sends a request with the token. @throws NoAnswerError */
export async function send(
  { url, method = 'GET', headers = {}, body }: RelayRequest,
  { token, requestTimeoutMs, signal }: RequestOptions,
): Promise<JsonAnswer> {
  const { host, pathname } = new URL(url);
  const where = `${method} ${host}${pathname}`;
  try {
    const answer = await fetch(url, {
      method,
      headers: { ...headers, authorization: `Bearer ${token.text}` },
      ...(body !== undefined && { body }),
      // Elsewhere the token is nobody's business.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    });
    const text = await readText(answer);
    return toAnswer(answer, text);
  } catch (cause) {
    throw new NoAnswerError(`${where}: ${reasonOf(cause)}`, { cause });
  }
}

async function readText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function toAnswer({ status, headers }: Response, text: string): JsonAnswer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`status ${status} without JSON`);
  }
  const seconds = Number(headers.get('retry-after') ?? 0);
  const retryAfterMs = Math.min(Math.max(seconds, 0) * 1000, RETRY_AFTER_MS_MAX) || 0;
  return { status, headers, body, error: isError(body) ? body : undefined, retryAfterMs };
}

function isError(body: unknown): body is ErrorBody {
  if (typeof body !== 'object' || body === null) return false;
  const { code, message } = body as Partial<ErrorBody>;
  return typeof code === 'string' && typeof message === 'string';
}

/** `fetch` puts what is of interest into the cause of the cause. */
function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    if (at.name === 'TimeoutError') return 'no answer in time';
    if (at.cause === undefined) return at.message;
  }
  return String(error);
}
