/** An error that the user can correct. Its message is one clear sentence. */
export class Failure extends Error {
  /** @override */
  name = 'Failure';
}

/**
 * Runs a script's main function. A `Failure` ends the process with its sentence and code 1. Any other
 * error is a mistake in this code and shows its stack.
 *
 * @param {() => Promise<void>} main
 */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Failure ? `tidemark: ${error.message}` : error);
    process.exitCode = 1;
  }
}

/** @param {unknown} error @returns {string | undefined} such as `EACCES` */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
