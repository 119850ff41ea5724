import { CliError, codeOf, messageOf } from './base/errors.ts';
import { EXIT, type ExitCode } from './base/exit-codes.ts';

/** What a user and a program are told of an error. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: ExitCode;
}

/** The exit codes of errors of the client library, by their code (its own, and PROTOCOL 9.1). */
const CLIENT_CODES: Readonly<Record<string, ExitCode>> = {
  unauthenticated: EXIT.refused,
  token_expired: EXIT.refused,
  forbidden: EXIT.refused,
  revoked: EXIT.refused,
  offline: EXIT.unavailable,
  unavailable: EXIT.unavailable,
  limit_exceeded: EXIT.unavailable,
};

/** Tells what went wrong, whatever was thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CliError) {
    const { code, message, exitCode } = error;
    return { code, message, exit: exitCode };
  }
  const name = error instanceof Error ? error.name : '';
  const code = codeOf(error) ?? 'failure';
  // Errors of the library and of the launcher are told as they are, though neither is loaded here.
  if (name === 'TidemarkClientError') {
    const wrong = code.startsWith('invalid_') ? EXIT.usage : EXIT.failure;
    return { code, message: messageOf(error), exit: CLIENT_CODES[code] ?? wrong };
  }
  if (name === 'Failure' || name === 'ConfigurationError') {
    return { code: 'failure', message: messageOf(error), exit: EXIT.failure };
  }
  return { code, message: `an unexpected fault: ${messageOf(error)}`, exit: EXIT.failure };
}
