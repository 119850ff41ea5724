import { formatCursor } from '@tidemark/protocol';

/** The epoch of the log. */
export const EPOCH = 'log';
/** When each world begins, in milliseconds since 1970. */
export const START_MS = 1_800_000_000_000;

/** The cursor of a sequence of the log. */
export const toCursor = (sequence: number) => formatCursor({ epoch: EPOCH, sequence });

/** For what cannot be `undefined`. */
export function failed(): never {
  throw new Error('This cannot be.');
}
