import type { CursorStore } from './types.ts';

/** Keeps cursors as long as the page or process lives. */
export function memoryStore(): CursorStore {
  // A map has the two functions. That `set` returns the map does no harm.
  return new Map<string, string>() as unknown as CursorStore;
}
