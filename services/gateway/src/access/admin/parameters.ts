import { TidemarkError } from '@tidemark/protocol';

/** A token may be sent as a parameter. */
const OF_ALL = ['access_token'];

/**
 * Reads the query of an admin call.
 *
 * @throws TidemarkError `invalid_query` for a parameter that there is not, or that comes twice
 */
export function readParameters(url: string, known: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of new URL(url, 'http://gateway').searchParams) {
    const shown = JSON.stringify(name.slice(0, 80));
    if (![...known, ...OF_ALL].includes(name)) throw wrong(`There is no query parameter ${shown}.`);
    if (found.has(name)) throw wrong(`The query parameter ${shown} comes twice.`);
    found.set(name, value);
  }
  return found;
}

function wrong(message: string): TidemarkError {
  return new TidemarkError('invalid_query', message);
}
