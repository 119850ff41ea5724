import type { Position } from './cursors.ts';

const EARLIER = /^([a-z0-9.]{1,40}):(0|[1-9][0-9]{0,15})$/;

/** An epoch of the log that ended because the log lost its end. */
export interface EarlierEpoch {
  readonly epoch: string;
  /** The last of its sequences that the present epoch shares with it. */
  readonly through: number;
}

/** The epoch of a log, and the epochs of the same log before it (PROTOCOL.md section 4). */
export interface Lineage {
  readonly epoch: string;
  /** Oldest first; absent where there is none. */
  readonly earlier?: readonly EarlierEpoch[];
}

/**
 * What the stream or the archive holds of the log. Bounds of two epochs cannot be compared.
 *
 * @example { epoch: 'm4x1k2', firstSequence: 1, lastSequence: 0 } // a new stream, still empty
 */
export interface LogBounds extends Lineage {
  /** Lowest sequence that is held, at least 1; `lastSequence + 1` where nothing is. */
  readonly firstSequence: number;
  /** Highest sequence that was ever given or archived; 0 in a new stream. */
  readonly lastSequence: number;
}

/** Sequences from `from` up to `to`, both included. */
export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

/** Where a position lies in the present epoch of its log. */
export interface PresentPosition {
  readonly sequence: number;
  /** Whether the log lost what the position names; `sequence` is then the last one before the loss. */
  readonly lost: boolean;
}

/**
 * Finds a position of this epoch or an earlier one in the present epoch.
 *
 * @returns `undefined` for a position of another log
 */
export function toPresent(
  { epoch, earlier = [] }: Lineage,
  position: Position,
): PresentPosition | undefined {
  const { sequence } = position;
  if (position.epoch === epoch) return { sequence, lost: false };
  const through = earlier.find((one) => one.epoch === position.epoch)?.through;
  if (through === undefined) return undefined;
  return { sequence: Math.min(sequence, through), lost: sequence > through };
}

/** Whether two epochs are of one log, so that their sequences can be compared. */
export function isSameLog(one: string, other: string): boolean {
  return logOf(one) === logOf(other);
}

/** The log that an epoch belongs to: its name up to the first dot. */
export function logOf(epoch: string): string {
  return epoch.split('.', 1)[0] ?? epoch;
}

/** Earlier epochs as text, as the metadata of the stream and the archive keep them. */
export function formatEarlier(earlier: readonly EarlierEpoch[]): string {
  return earlier.map(({ epoch, through }) => `${epoch}:${through}`).join(' ');
}

/** Reads what `formatEarlier` has written. @throws Error where the text is something else */
export function parseEarlier(text: string): EarlierEpoch[] {
  return text
    .split(' ')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, epoch, through] = EARLIER.exec(entry) ?? [];
      if (epoch === undefined)
        throw new Error(`The earlier epochs of the log cannot be read: ${text}`);
      return { epoch, through: Number(through) };
    });
}
