import { JetStreamApiError } from '@nats-io/jetstream';
import {
  ClosedConnectionError,
  DrainingConnectionError,
  InvalidArgumentError,
  PermissionViolationError,
} from '@nats-io/transport-node';
import { TidemarkPublisherError } from '../errors.ts';

/**
 * Reads what NATS, or its client library, says of an event that was not acknowledged. What is not known to be final is
 * tried again: no answer, no leader, a full disk.
 */
export function toPublisherError(error: unknown): TidemarkPublisherError {
  const cause = error instanceof Error ? error : new Error(String(error));
  const { message } = cause;
  const failed = (code: string, retryable = false) =>
    new TidemarkPublisherError({ code, message, retryable }, { cause });
  if (has(cause, PermissionViolationError)) return failed('forbidden');
  if (has(cause, ClosedConnectionError) || has(cause, DrainingConnectionError)) {
    return failed('closed');
  }
  if (has(cause, InvalidArgumentError)) return failed('too_large');
  const code = cause instanceof JetStreamApiError ? cause.code : undefined;
  if (code === MESSAGE_TOO_LARGE) return failed('too_large');
  return failed(code === undefined ? 'offline' : 'unavailable', true);
}

/** The library wraps some errors. */
function has(error: Error, kind: new (...args: never[]) => Error): boolean {
  return [error, error.cause].some((one) => one instanceof kind);
}

/** The stream's own limit, for which the client library has no name. */
const MESSAGE_TOO_LARGE = 10054;
