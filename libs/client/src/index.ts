export { connect } from './client.ts';
export { TidemarkClientError } from './errors.ts';
export { localStorageStore } from './local-storage-store.ts';
export { memoryStore } from './memory-store.ts';
export type * from './types.ts';
