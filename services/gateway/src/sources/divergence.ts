import type { LogBounds } from '@tidemark/protocol';
import type { Tail } from '../log/tail.ts';

/** When the stream stored a sequence, in ms; `undefined` where it has no message there. */
export type StoredMs = (sequence: number) => Promise<number | undefined>;

/**
 * Divergence search: compares the stream with what the feed brought into the tail when the feed starts again. A server that lost
 * its end in a crash gives the same sequences to other events. If the stream has grown past the tail's
 * head since then, only the times of storing differ.
 *
 * It sends one request where nothing was lost, and one more for each halving of the tail otherwise.
 *
 * @returns the last sequence in common, or the sequence before the first event that can be compared if
 *   there is none; `undefined` where stream and tail do not diverge
 */
export async function lastInCommon(
  tail: Tail,
  { firstSequence, lastSequence }: LogBounds,
  storedMs: StoredMs,
): Promise<number | undefined> {
  // What was filled in later may be of the stream as it is now, and would tell nothing of the loss.
  const known = tail.between(Math.max(firstSequence - 1, tail.followedAfter), lastSequence);
  const isSame = async (index: number): Promise<boolean> => {
    const entry = known[index];
    const storedAtMs = entry && (await storedMs(entry.sequence));
    // An event that has expired since then cannot be compared, nor can the events before it.
    return storedAtMs === undefined || storedAtMs === entry?.timeMs;
  };
  if (await isSame(known.length - 1)) return undefined;
  let low = 0;
  let high = known.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (await isSame(middle)) low = middle + 1;
    else high = middle;
  }
  return known[low - 1]?.sequence ?? Math.max(tail.followedAfter, firstSequence - 1);
}
