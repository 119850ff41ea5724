import { CliError } from '../base/errors.ts';
import { EXIT, type ExitCode } from '../base/exit-codes.ts';

/** A wrong part of what was sent. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

/** What a service answered in place of a result (PROTOCOL 9.1), or that nothing answered. */
export class ServiceError extends CliError {
  override readonly name = 'ServiceError';
  /** 0: there was no answer. */
  readonly status: number;
  readonly retryable: boolean;
  readonly faults: readonly Fault[];
  /** With `precondition_failed` and `conflict`. */
  readonly cursor: string | null | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    fields: {
      readonly code: string;
      readonly status: number;
      readonly retryable: boolean;
      readonly faults?: readonly Fault[];
      readonly cursor?: string | null | undefined;
      readonly retryAfterMs?: number | undefined;
    },
  ) {
    super(message, { code: fields.code, exitCode: exitCodeOf(fields.status) });
    this.status = fields.status;
    this.retryable = fields.retryable;
    this.faults = fields.faults ?? [];
    this.cursor = fields.cursor;
    this.retryAfterMs = fields.retryAfterMs;
  }
}

function exitCodeOf(status: number): ExitCode {
  if (status === 400) return EXIT.usage;
  if (status === 401 || status === 403) return EXIT.refused;
  if (status === 0 || status === 429 || status === 408 || status >= 500) return EXIT.unavailable;
  return EXIT.failure;
}

/** Nobody answered at this address. */
export function offline(url: string, reason: string): ServiceError {
  return new ServiceError(`${url} does not answer (${reason}).`, {
    code: 'offline',
    status: 0,
    retryable: true,
  });
}

/** The error of an answer. A proxy in between may have written the body. */
export async function errorOf(url: string, response: Response): Promise<ServiceError> {
  const { status, headers } = response;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const retryAfterMs = Number.isNaN(seconds) ? undefined : seconds * 1000;
  const text = await response.text().catch(() => '');
  const body = parse(text);
  if (body) {
    const faults = Array.isArray(body.faults) ? (body.faults as Fault[]) : [];
    const details = faults.slice(0, 3).map(({ path, message }) => `${path} ${message}`);
    const message = String(body.message ?? body.code);
    // A single fault is often the message itself.
    const more = details.filter((detail) => !message.includes(detail));
    return new ServiceError(more.length > 0 ? `${message} (${more.join('; ')})` : message, {
      code: String(body.code),
      status,
      retryable: body.retryable === true,
      faults,
      cursor: body.cursor as string | null | undefined,
      retryAfterMs,
    });
  }
  return new ServiceError(`${url} answers ${status}, and not as a service of Tidemark does.`, {
    code: status === 401 ? 'unauthenticated' : status === 403 ? 'forbidden' : 'unavailable',
    status,
    retryable: status >= 500 || status === 429 || status === 408,
    retryAfterMs,
  });
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value?.code === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
