/**
 * Every failure that leaves a Tidemark process has one of these codes (PROTOCOL.md section 9).
 * Clients branch on the code; the message is for people and may change.
 */
export const ERROR_CODES = {
  invalid_json: { status: 400, retryable: false, meaning: 'The text is not well-formed JSON.' },
  invalid_event: { status: 400, retryable: false, meaning: 'The event breaks CloudEvents 1.0.' },
  invalid_topic: { status: 400, retryable: false, meaning: 'The topic breaks the topic grammar.' },
  invalid_pattern: {
    status: 400,
    retryable: false,
    meaning: 'The pattern breaks the pattern grammar.',
  },
  invalid_cursor: { status: 400, retryable: false, meaning: 'The text is not a cursor.' },
  invalid_time: { status: 400, retryable: false, meaning: 'The text is not an RFC 3339 time.' },
  invalid_query: { status: 400, retryable: false, meaning: 'A query parameter is wrong.' },
  invalid_message: { status: 400, retryable: false, meaning: 'The WebSocket message is wrong.' },
  unauthenticated: {
    status: 401,
    retryable: false,
    meaning: 'No token, or one that is not valid.',
  },
  token_expired: { status: 401, retryable: true, meaning: 'The token was valid and has expired.' },
  forbidden: { status: 403, retryable: false, meaning: 'The token does not permit this.' },
  not_found: { status: 404, retryable: false, meaning: 'There is nothing under this name.' },
  method_not_allowed: {
    status: 405,
    retryable: false,
    meaning: 'The path exists, the method does not.',
  },
  conflict: {
    status: 409,
    retryable: false,
    meaning: 'The name is in use on this connection, or names an event with other content.',
  },
  not_erasable: {
    status: 409,
    retryable: false,
    meaning: 'The stream is of an earlier version and deletes no event.',
  },
  erased: {
    status: 410,
    retryable: false,
    meaning: 'The event was stored and has been erased since.',
  },
  precondition_failed: {
    status: 412,
    retryable: false,
    meaning: "The topic's last cursor is not the one that the condition names.",
  },
  too_large: { status: 413, retryable: false, meaning: 'A body, event or message is too large.' },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    meaning: 'The content type is not supported here.',
  },
  limit_exceeded: { status: 429, retryable: true, meaning: 'A named limit is reached.' },
  internal: { status: 500, retryable: true, meaning: 'A fault of the server.' },
  unavailable: {
    status: 503,
    retryable: true,
    meaning: 'A part that the request needs is not available at the moment.',
  },
} as const satisfies Record<string, { status: number; retryable: boolean; meaning: string }>;

/** The stable code of an error: one of `ERROR_CODES`. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** One fault in the input. `path` is a JSON path such as `event.source` or `[2].time`. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

/** Most faults that an answer lists, so that it is not much larger than the wrong input. */
const FAULTS_MAX = 100;

/** Most characters of a message or path in an answer. Both may quote the input. */
const TEXT_LENGTH_MAX = 300;

/** What an error carries besides its code and message. */
export interface ErrorDetails {
  /** Every fault found in the input, when there are several. */
  readonly faults?: readonly Fault[];
  /**
   * With `precondition_failed`: the topic's actual last cursor, `null` when the topic is empty. With `conflict`:
   * that of the stored event; of a batch the highest cursor of what it stored or found stored.
   */
  readonly cursor?: string | null;
  /** How long to wait before another try, in seconds; sent as `Retry-After` over HTTP. */
  readonly retryAfterSeconds?: number;
}

/** What clients see of an error, over HTTP as the body and over WebSocket inside `error`. */
export interface ErrorBody extends ErrorDetails {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

interface FailureOptions extends ErrorDetails {
  readonly cause?: unknown;
  /** The name of the limit that was reached, for the metric that counts it. */
  readonly limit?: string;
  /** Whether the same request may succeed later, where that is not so for all errors of the code. */
  readonly retryable?: boolean;
}

/**
 * The error of every failure that has a stable code.
 *
 * @example throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1 });
 */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  /** The limit that was reached. Operators see it, clients do not. */
  readonly limit: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: FailureOptions = {}) {
    const { cause, limit, retryable = ERROR_CODES[code].retryable, ...details } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
    this.limit = limit;
    this.retryable = retryable;
  }

  /** The HTTP status of the code. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  /** The error as clients see it. Long texts and lists are cut. */
  toBody(): ErrorBody {
    const { code, retryable, details } = this;
    const faults = details.faults?.slice(0, FAULTS_MAX).map(({ path, message }) => ({
      path: shorten(path),
      message: shorten(message),
    }));
    return {
      code,
      message: shorten(this.message),
      retryable,
      ...details,
      ...(faults && { faults }),
    };
  }
}

function shorten(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}

/** The error of a start at the last events (PROTOCOL.md section 4.2) of more than so many topics. */
export function tooManyTopics(topicsMax: number): TidemarkError {
  return new TidemarkError(
    'limit_exceeded',
    `after=last is for at most ${topicsMax} topics; these patterns match more.`,
    { limit: 'last_topics', retryable: false },
  );
}

/** Returns an error with a code as it is. Any other becomes `internal`, without its text. */
export function asTidemarkError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  return new TidemarkError('internal', 'The server made a mistake; it has been logged.', {
    cause: error,
  });
}

/**
 * WebSocket close codes (PROTOCOL.md section 9.2). After 4000 to 4499 the client reconnects with its
 * cursors. After 4500 to 4999 it stops.
 */
export const CLOSE_CODES = {
  going_away: 4000,
  stalled: 4001,
  unresponsive: 4002,
  token_expired: 4004,
  unavailable: 4005,
  disconnected: 4006,
  limited: 4007,
  revoked: 4501,
} as const;

/** Why a WebSocket connection is closed: one of `CLOSE_CODES`. */
export type CloseReason = keyof typeof CLOSE_CODES;
