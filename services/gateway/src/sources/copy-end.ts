import type { Slice } from '../log/tail.ts';

/**
 * Decides how much of a range a slice covers that was read from one of several copies of the stream. A
 * copy may lag: that its end was reached says nothing about the others.
 *
 * @param nextMatch finds, at the server that leads the stream, the first matching record after a sequence
 *   up to the end of the range
 * @returns the slice; it ends before the first record that the copy lacked
 * @throws Error where the copy lacks the first record of the range; what `nextMatch` throws
 */
export async function believedSlice(
  slice: Slice,
  { after, through }: { readonly after: number; readonly through: number },
  nextMatch: (after: number) => Promise<number | undefined>,
): Promise<Slice> {
  const last = slice.entries.at(-1)?.sequence ?? after;
  const next = last < through ? await nextMatch(last) : undefined;
  if (next === undefined) return slice;
  if (next === after + 1) throw new Error('The copy of the stream that was read lags.');
  return { ...slice, through: next - 1 };
}
