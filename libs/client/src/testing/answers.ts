import { TidemarkClientError } from '../errors.ts';

/** The codes of PROTOCOL 9.1 that a test may let a service answer with, their status, and whether to try again. */
const CODES = {
  invalid_event: [400, false],
  invalid_topic: [400, false],
  invalid_pattern: [400, false],
  invalid_cursor: [400, false],
  invalid_time: [400, false],
  invalid_query: [400, false],
  invalid_message: [400, false],
  unauthenticated: [401, false],
  token_expired: [401, true],
  forbidden: [403, false],
  not_found: [404, false],
  conflict: [409, false],
  erased: [410, false],
  precondition_failed: [412, false],
  too_large: [413, false],
  limit_exceeded: [429, true],
  internal: [500, true],
  unavailable: [503, true],
} as const satisfies Record<string, readonly [number, boolean]>;

/** A code of PROTOCOL 9.1. */
export type Code = keyof typeof CODES;

/** What an error says beside its code. */
export interface ErrorDetails {
  readonly cursor?: string | null;
  readonly faults?: readonly { readonly path: string; readonly message: string }[];
}

/** What a service refuses with. */
export class Refusal extends Error {
  readonly code: Code;
  readonly #details: ErrorDetails;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.#details = details;
  }

  get status(): number {
    return CODES[this.code][0];
  }

  get body() {
    const { code, message } = this;
    return { code, message, retryable: CODES[code][1], ...this.#details };
  }

  /** As the client library would throw it. */
  toError(): TidemarkClientError {
    return new TidemarkClientError(this.body);
  }
}
