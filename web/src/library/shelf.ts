// SPDX-License-Identifier: MIT
// Captured posters, kept in the browser's database under the film's address and time of change, so
// that a frame is taken once. The oldest make room; without a database each visit takes its own.

const LIMIT = 1500, AT_ONCE = 100;
const STORE = 'posters';

interface Poster { key: string; blob: Blob; at: number }

let opened: Promise<IDBDatabase | null> | undefined;

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open('leat-posters', 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, { keyPath: 'key' }).createIndex('at', 'at');
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

function answer<T>(request: IDBRequest<T>): Promise<T | null> {
  return new Promise((resolve) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  });
}

export async function findPoster(key: string): Promise<Blob | null> {
  const database = await open();
  if (!database) return null;
  const store = database.transaction(STORE).objectStore(STORE);
  const found = await answer<Poster | undefined>(store.get(key));
  return found?.blob ?? null;
}

export async function keepPoster(key: string, blob: Blob): Promise<void> {
  const database = await open();
  if (!database) return;
  const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
  store.put({ key, blob, at: Date.now() } satisfies Poster);
  const count = await answer(store.count());
  if (count === null || count <= LIMIT) return;
  let excess = count - LIMIT + AT_ONCE;
  const cursor = store.index('at').openCursor();
  cursor.onsuccess = () => {
    if (!cursor.result || excess-- <= 0) return;
    cursor.result.delete();
    cursor.result.continue();
  };
}
