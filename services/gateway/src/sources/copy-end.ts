import type { Slice } from '../log/tail.ts';

/** What was read from one of several copies of the stream. */
export interface CopySlice extends Slice {
  /**
   * The first and the last record that the copy delivered, whether it is an event or not; absent where there
   * was none. The simulation delivers events only.
   */
  readonly delivered?: { readonly first: number; readonly last: number } | undefined;
}

/**
 * Decides how much of a range a slice covers that was read from one of several copies of the stream. A
 * copy may lag: that its end was reached says nothing about the others. It may also begin later: each
 * drops old events by itself, and a server that was killed has some of them again.
 *
 * @param nextMatch finds, at the server that leads the stream, the first matching record after a sequence
 *   up to the end of the range
 * @returns the slice; it ends before the first record that the copy lacked
 * @throws Error where the copy lacks the first record of the range; what `nextMatch` throws
 */
export async function believedSlice(
  slice: CopySlice,
  { after, through }: { readonly after: number; readonly through: number },
  nextMatch: (after: number) => Promise<number | undefined>,
): Promise<Slice> {
  const { entries, delivered } = slice;
  if (delivered && delivered.first > after + 1) {
    const start = await nextMatch(after);
    if (start !== undefined && start < delivered.first) {
      throw new Error('The copy of the stream that was read begins later.');
    }
  }
  if (slice.through < through) return slice;
  const last = delivered?.last ?? entries.at(-1)?.sequence ?? after;
  const next = last < through ? await nextMatch(last) : undefined;
  if (next === undefined) return slice;
  if (next === after + 1) throw new Error('The copy of the stream that was read lags.');
  return { ...slice, through: next - 1 };
}
