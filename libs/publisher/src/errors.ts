import type { EventAttributes } from './types.ts';

/** One fault in an event. `path` is a JSON path such as `source` or `[2].time`. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

/** What an error tells. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly cursor?: string | null | undefined;
  readonly faults?: readonly Fault[] | undefined;
}

/** An event that may be published again as it is. */
export type NamedEvent = EventAttributes & {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
};

interface ErrorOptions {
  readonly retryAfterMs?: number | undefined;
  readonly events?: readonly NamedEvent[];
  readonly cause?: unknown;
}

/**
 * The one error of the library. `code` is one of section 9.1 of the protocol, or one of the library's own: `closed`,
 * `deadline_exceeded`, `offline`, `queue_full`. Branch on the code; the message is for people.
 */
export class TidemarkPublisherError extends Error {
  override readonly name = 'TidemarkPublisherError';
  readonly code: string;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  /** With `precondition_failed` and `conflict`: the cursor of the topic's last event, `null` where it has none. */
  readonly cursor: string | null | undefined;
  readonly faults: readonly Fault[];
  /** How long the service asks to wait. */
  readonly retryAfterMs: number | undefined;
  /**
   * The events of the call that are not known to be stored, with the ids that they were tried under. To publish
   * them again later stores none of them twice, for as long as the stream recognises repeats.
   */
  readonly events: readonly NamedEvent[];

  constructor(body: ErrorBody, options: ErrorOptions = {}) {
    super(body.message, { cause: options.cause });
    this.code = body.code;
    this.retryable = body.retryable;
    this.cursor = body.cursor;
    this.faults = body.faults ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.events = options.events ?? [];
  }
}

/** Says that the publisher takes no more events. */
export function closedError(): TidemarkPublisherError {
  const message = 'The publisher is closed.';
  return new TidemarkPublisherError({ code: 'closed', message, retryable: false });
}

/** Says that no answer came, or none of a service of Tidemark. */
export function offlineError(message: string, cause?: unknown): TidemarkPublisherError {
  return new TidemarkPublisherError({ code: 'offline', message, retryable: true }, { cause });
}

/** Says that the time of an event is over. The cause is what the last attempt met. */
export function deadlineError(deadlineMs: number, cause: unknown): TidemarkPublisherError {
  const why = cause instanceof Error ? `: ${cause.message}` : '.';
  const message = `The event was not stored within ${deadlineMs} ms${why}`;
  return new TidemarkPublisherError(
    { code: 'deadline_exceeded', message, retryable: true },
    { cause },
  );
}

/** Says that a limit of the queue is reached. */
export function queueFullError(): TidemarkPublisherError {
  const message = 'Too many events wait to be stored.';
  return new TidemarkPublisherError({ code: 'queue_full', message, retryable: true });
}

/** Says that an event cannot be sent. */
export function invalidEventError(path: string, message: string): TidemarkPublisherError {
  const faults = [{ path, message }];
  return new TidemarkPublisherError({
    code: 'invalid_event',
    message: `${path} ${message}.`,
    retryable: false,
    faults,
  });
}

/** Whether the token was refused, so that a new one may help. */
export function isTokenRefusal({ code }: TidemarkPublisherError): boolean {
  return code === 'unauthenticated' || code === 'token_expired';
}
