import type { ArchiveHoldings, SequenceRange } from '@tidemark/protocol';

/** Most missing ranges in an announcement, which then takes some 3 KiB. */
export const ANNOUNCED_RANGES_MAX = 64;

/**
 * Until where an archive lacks the log, from a sequence on that it lacks.
 *
 * @returns `undefined` where it holds the sequence, infinity where it has not got that far
 */
export function lackThrough(
  { firstSequence, lastSequence, missing }: ArchiveHoldings,
  sequence: number,
): number | undefined {
  if (sequence > lastSequence) return Number.POSITIVE_INFINITY;
  if (sequence < firstSequence) return firstSequence - 1;
  return missing.find(({ from, to }) => from <= sequence && sequence <= to)?.to;
}

/** The first part of a range that an archive holds without a hole. */
export function firstHeld(
  holdings: ArchiveHoldings,
  { from, to }: SequenceRange,
): SequenceRange | undefined {
  const last = Math.min(to, holdings.lastSequence);
  for (let first = from; first <= last; ) {
    const lack = lackThrough(holdings, first);
    if (lack === undefined) {
      const hole = holdings.missing.find((range) => range.from > first);
      return { from: first, to: Math.min(last, (hole?.from ?? Number.POSITIVE_INFINITY) - 1) };
    }
    first = lack + 1;
  }
  return undefined;
}

/** Whether an archive holds everything that another one holds, or is of another epoch. */
export function covers(holdings: ArchiveHoldings, other: ArchiveHoldings): boolean {
  if (holdings.epoch !== other.epoch) return true;
  const to = other.lastSequence;
  for (let from = other.firstSequence; from <= to; ) {
    const part = firstHeld(other, { from, to });
    if (!part) return true;
    const same = firstHeld(holdings, part);
    if (same?.from !== part.from || same.to !== part.to) return false;
    from = part.to + 1;
  }
  return true;
}

/** Holdings with another missing range, which an archive's answer has shown. */
export function withMissing(holdings: ArchiveHoldings, range: SequenceRange): ArchiveHoldings {
  const { missing } = holdings;
  const others = missing.filter(({ from, to }) => to < range.from || from > range.to);
  const merged = [...others, range].sort((left, right) => left.from - right.from);
  return { ...holdings, missing: merged };
}
