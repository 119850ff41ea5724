import { EXIT, type ExitCode } from './exit-codes.ts';

/** Everything that ends a command early with one sentence for its user. */
export class CliError extends Error {
  override readonly name: string = 'CliError';
  /** For programs; a code of PROTOCOL 9.1, or `usage`, `failure`, `offline`. */
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(
    message: string,
    { code = 'failure', exitCode = EXIT.failure }: { code?: string; exitCode?: ExitCode } = {},
  ) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Says that what the user gave is wrong. */
export function usageError(message: string): CliError {
  return new CliError(message, { code: 'usage', exitCode: EXIT.usage });
}

/** The reason with which a signal ends the commands. It shows no message. */
export class Interrupted extends CliError {
  override readonly name = 'Interrupted';

  constructor(exitCode: ExitCode = EXIT.interrupted) {
    super('interrupted', { code: 'interrupted', exitCode });
  }
}

/** Such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** The text of anything that was thrown, with what caused it: `fetch failed` alone helps nobody. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || codeOf(cause) || error.message;
}
