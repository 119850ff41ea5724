import type { CursorStore } from '../types.ts';

const TABLE = 'cursors';

/** Keeps cursors in IndexedDB: for workers, which have no `localStorage`. */
export function indexedDbStore(name = 'tidemark'): CursorStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    opened ??= openDatabase(name, forget).catch((error) => {
      forget();
      throw error;
    });
    return opened;
  };
  const forget = () => {
    opened = undefined;
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

async function openDatabase(name: string, onGone: () => void): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
  const database = await answer(request);
  // Whoever deletes it waits for all that have it open; a browser may take it away, too.
  database.onversionchange = () => {
    database.close();
    onGone();
  };
  database.onclose = onGone;
  return database;
}

function answer<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
