/* A browser may refuse to store anything for a page; the page then forgets, and works. */

type Kind = 'localStorage' | 'sessionStorage';

export function readStored(kind: Kind, key: string): string | undefined {
  try {
    return globalThis[kind].getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param value `undefined` removes it */
export function store(kind: Kind, key: string, value: string | undefined): void {
  try {
    if (value === undefined) globalThis[kind].removeItem(key);
    else globalThis[kind].setItem(key, value);
  } catch {
    // It is forgotten, then.
  }
}
