import type { CursorStore } from '../types.ts';

const TABLE = 'cursors';

/** Keeps cursors in IndexedDB: for workers, which have no `localStorage`. */
export function indexedDbStore(name = 'tidemark'): CursorStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    opened ??= openDatabase(name).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  return {
    get: async (key) => {
      const table = (await open()).transaction(TABLE).objectStore(TABLE);
      return (await answer(table.get(key))) as string | undefined;
    },
    set: async (key, cursor) => {
      const table = (await open()).transaction(TABLE, 'readwrite').objectStore(TABLE);
      await answer(table.put(cursor, key));
    },
  };
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
  return answer(request);
}

function answer<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
