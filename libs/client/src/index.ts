export { TidemarkClientError } from './errors.ts';
export type * from './types.ts';
