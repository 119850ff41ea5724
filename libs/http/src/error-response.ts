import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { asTidemarkError, type ErrorBody, TidemarkError } from '@tidemark/protocol';
import { type Logger, traceIds } from '@tidemark/telemetry';
import { answerJson } from './json-answer.ts';
import type { Limits } from './limits.ts';
import { pathOf, spanOf } from './observation.ts';
import { RefusalLog } from './refusal-log.ts';
import { UnreadBodies } from './unread-bodies.ts';

/** The `Retry-After` of errors that name no time themselves. */
const RETRY_AFTER_SECONDS = 1;

/** The log line for a refused request, by its status. Other faults of clients are not logged. */
const TOLD: Readonly<Record<number, string>> = {
  401: 'refused',
  403: 'refused',
  429: 'limit reached',
};

/** How long a refused client may take to read the answer. */
const REFUSAL_MS = 1_000;

/** An HTTP answer to an error, with a JSON body. */
export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody;
}

/** The HTTP answer to an error (PROTOCOL.md section 9). */
export function toErrorResponse(error: TidemarkError): ErrorResponse {
  const { status, details } = error;
  const headers: Record<string, string> = {};
  if (details.retryAfterSeconds !== undefined || status === 429 || status === 503) {
    headers['Retry-After'] = String(details.retryAfterSeconds ?? RETRY_AFTER_SECONDS);
  }
  // RFC 9110 section 15.5.2 asks for it.
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  return { status, headers, body: error.toBody() };
}

/** Who is told of errors. */
export interface ErrorObservers {
  readonly logger: Logger;
  readonly limits?: Pick<Limits, 'hit' | 'rate'>;
  readonly refusalLog?: RefusalLog;
  readonly addressOf?: (request: IncomingMessage) => string | undefined;
}

/** Answers what was thrown for a request. It does not fail. */
export type AnswerError = (
  thrown: unknown,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>;

/** Answers whatever an endpoint throws. */
export function answerErrors(observers: ErrorObservers): AnswerError {
  const { logger, limits, refusalLog = new RefusalLog(logger) } = observers;
  const addressOf = (request: IncomingMessage) => {
    return observers.addressOf?.(request) ?? request.socket.remoteAddress ?? '';
  };
  const unread = limits && new UnreadBodies(limits);
  return async (thrown, request, response) => {
    const { method } = request;
    const path = pathOf(request);
    const error = asTidemarkError(fromExpress(thrown));
    if (error.limit !== undefined) limits?.hit(error.limit);
    if (error.code === 'internal') {
      logger.error({ err: thrown, method, path }, 'request failed');
    }
    const told = TOLD[error.status];
    if (told) {
      const { code, message: reason } = error;
      refusalLog.tell({ address: addressOf(request) }, { message: told, code }, () => {
        return { method, path, reason, ...traceIds(spanOf(response)) };
      });
    }
    if (response.headersSent) {
      // An incomplete answer must not look complete.
      response.destroy();
      return;
    }
    if (unread) await unread.leave(request, response, addressOf(request));
    else request.resume();
    const { status, headers, body } = toErrorResponse(error);
    answerJson(response, status, JSON.stringify(body), Object.entries(headers).flat());
  };
}

/** What a refusal has in place of, or besides, what its error gives it. */
export interface RefusalOptions {
  /** The status; the error's own if absent. */
  readonly status?: number;
  /** Headers besides those of the error. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a refused upgrade, which has a raw socket and no response object. It closes the socket. */
export function refuseUpgrade(
  socket: Duplex,
  error: TidemarkError,
  { status = error.status, headers: more = {} }: RefusalOptions = {},
): void {
  const { headers, body } = toErrorResponse(error);
  const text = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    ...Object.entries({ ...headers, ...more }).map(([name, value]) => `${name}: ${value}`),
  ];
  // Without a listener the error of a peer that has gone would end the process.
  socket.on('error', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
  // Nothing else would end this socket if the peer keeps its side open.
  setTimeout(() => socket.destroy(), REFUSAL_MS).unref();
}

/** Express throws 4xx errors of its own, such as for a path that cannot be decoded. */
function fromExpress(thrown: unknown): unknown {
  if (thrown instanceof TidemarkError || !(thrown instanceof Error)) return thrown;
  const { status } = thrown as Error & { status?: unknown };
  if (typeof status !== 'number' || status < 400 || status > 499) return thrown;
  return new TidemarkError('invalid_query', 'The request cannot be read.', { cause: thrown });
}
