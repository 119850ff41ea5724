/** What the services answer, as the library hands it on. Codes are those of section 9.1, and the library's own. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly cursor?: string | null;
  readonly faults?: readonly { readonly path: string; readonly message: string }[];
}

/**
 * The one error of the library. `code` is one of section 9.1, or one of the library's own: `closed`, `offline`,
 * `queue_full`, `store_failed`, `revoked`. Branch on the code; the message is for people.
 */
export class TidemarkClientError extends Error {
  override readonly name = 'TidemarkClientError';
  readonly code: string;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  /** With `precondition_failed` and `conflict`: the cursor of the topic's last event, `null` where it has none. */
  readonly cursor: string | null | undefined;
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  /** How long the service asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    body: ErrorBody,
    options: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(body.message, { cause: options.cause });
    this.code = body.code;
    this.retryable = body.retryable;
    this.cursor = body.cursor;
    this.faults = body.faults ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Says that the client is closed. */
export function closedError(): TidemarkClientError {
  return new TidemarkClientError({
    code: 'closed',
    message: 'The client is closed.',
    retryable: false,
  });
}

/** Says that no answer came. */
export function offlineError(cause: unknown): TidemarkClientError {
  return new TidemarkClientError(
    { code: 'offline', message: 'The service cannot be reached.', retryable: true },
    { cause },
  );
}

/** Whether a new token may help. */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof TidemarkClientError &&
    (error.code === 'unauthenticated' || error.code === 'token_expired')
  );
}
