import { setTimeout as pause } from 'node:timers/promises';
import { type Position, TidemarkError, toPresent } from '@tidemark/protocol';
import type { HistorySource } from './range.ts';
import type { Read } from './reads.ts';

/** How often a request that waits looks whether its client is still there. */
const LOOK_MS = 100;

/** What a request waits with. */
export interface AtLeastOptions extends Pick<HistorySource, 'store' | 'progress' | 'readBounds'> {
  /** How long a request waits for the archive. */
  readonly atLeastWaitMs: number;
}

/**
 * Waits until the archive has a position, so that its reader finds what it has written (PROTOCOL.md section 4.3).
 *
 * @throws TidemarkError `invalid_cursor` for a position of another log, or one that the log has lost; `unavailable`
 *   where the archive does not have it in time
 */
export async function waitForAtLeast(
  atLeast: Position | undefined,
  { signal }: Pick<Read, 'signal'>,
  options: AtLeastOptions,
): Promise<void> {
  if (!atLeast) return;
  const endMs = performance.now() + options.atLeastWaitMs;
  for (;;) {
    if (await hasReached(atLeast, options)) return;
    const leftMs = endMs - performance.now();
    if (signal.aborted || leftMs <= 0) throw notThere();
    await waitAMoment(atLeast, Math.min(leftMs, LOOK_MS), options);
  }
}

/** @throws TidemarkError `invalid_cursor`; `unavailable` where only the stream can tell and does not */
async function hasReached(
  atLeast: Position,
  { store, readBounds }: AtLeastOptions,
): Promise<boolean> {
  const { bounds } = store.snapshot();
  // The archive may have yet to follow the log into its present epoch.
  const present =
    toPresent(bounds, atLeast) ?? toPresent(await readBounds(atLeast.sequence), atLeast);
  if (!present || present.lost) throw lostOrForeign(present !== undefined);
  return toPresent(bounds, atLeast) !== undefined && present.sequence <= bounds.lastSequence;
}

async function waitAMoment(
  { epoch, sequence }: Position,
  ms: number,
  { store, progress }: AtLeastOptions,
): Promise<void> {
  const isAligned = store.snapshot().bounds.epoch === epoch;
  const isThere = isAligned && (await progress.waitForSequence(sequence, ms));
  if (!isAligned || isThere) await pause(isThere ? 0 : ms);
}

function lostOrForeign(isLost: boolean): TidemarkError {
  const what = isLost ? 'names an event that the log has lost' : 'is of another log';
  return new TidemarkError('invalid_cursor', `The cursor in atLeast ${what}.`);
}

function notThere(): TidemarkError {
  return new TidemarkError('unavailable', 'The archive has not reached atLeast yet.', {
    retryAfterSeconds: 1,
  });
}
