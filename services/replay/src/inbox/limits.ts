import type { InboxState } from '@tidemark/protocol';
import { TidemarkError } from '@tidemark/protocol';

/** Most exceptions of one mark, and most items that are hidden at once. */
export const EXCEPTIONS_MAX = 500;

/** Largest state as JSON: each change stores all of it. */
export const STATE_BYTES_MAX = 64 * 1024;

/** The marks whose exceptions are limited. */
export const MARKS = ['seen', 'read', 'archived'] as const;

/**
 * Refuses a state that is too large.
 *
 * @throws TidemarkError `limit_exceeded`
 */
export function requireLimits(
  state: InboxState,
  data: object,
  { followsMax }: { readonly followsMax: number },
): void {
  for (const name of ['follows', 'mutes'] as const) {
    if (state[name].length > followsMax) {
      throw exceeded(`An inbox has at most ${followsMax} ${name}.`, { limit: 'inbox_follows' });
    }
  }
  const lists = [...MARKS.map((name) => state[name].except), state.snoozed];
  if (lists.some(({ length }) => length > EXCEPTIONS_MAX)) {
    const message = `At most ${EXCEPTIONS_MAX} items can be marked one by one: mark all up to a position.`;
    throw exceeded(message, { limit: 'inbox_exceptions' });
  }
  if (Buffer.byteLength(JSON.stringify(data)) > STATE_BYTES_MAX) {
    const message = `An inbox has at most ${STATE_BYTES_MAX} bytes, with its types.`;
    throw exceeded(message, { limit: 'inbox_bytes' });
  }
}

/** Waiting does not help, but another change does. */
function exceeded(message: string, options: { readonly limit: string }): TidemarkError {
  return new TidemarkError('limit_exceeded', message, { ...options, retryable: false });
}
