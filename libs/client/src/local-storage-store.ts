import type { CursorStore } from './types.ts';

/**
 * Keeps cursors in `localStorage`, for all tabs of the origin. It writes at once, also while the page ends.
 * @param prefix of the keys, such as one for each user
 */
export function localStorageStore(prefix = 'tidemark:'): CursorStore {
  return {
    get: (key) => localStorage.getItem(prefix + key) ?? undefined,
    set: (key, cursor) => localStorage.setItem(prefix + key, cursor),
  };
}
