import type { CursorStore } from './types.ts';

/** Keeps cursors for as long as the page or process lives. */
export function memoryStore(): CursorStore {
  const cursors = new Map<string, string>();
  return {
    get: (key) => cursors.get(key),
    set: (key, cursor) => {
      cursors.set(key, cursor);
    },
  };
}
