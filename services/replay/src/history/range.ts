import {
  formatCursor,
  type GapReason,
  type LogBounds,
  type Position,
  type SequenceRange,
  TidemarkError,
  type TypeFilter,
  toPresent,
} from '@tidemark/protocol';
import type { ArchiveSnapshot, ArchiveStore } from '../archive/archive-store.ts';
import type { Progress } from '../projector/progress.ts';
import type { LogRange } from '../sqlite/log-range.ts';
import type { HistoryQuery, HistoryStart } from './query.ts';

/** How long a request waits until the archive has an event that the stream has. */
export const ARCHIVE_WAIT_MS = 2000;

/** The events after `from`, up to and with `to`, will not come (PROTOCOL.md section 5). */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: GapReason;
}

/** What history reads from. */
export interface HistorySource {
  readonly store: ArchiveStore;
  readonly progress: Progress;
  /**
   * The bounds of the stream now, for a reader that has a cursor at a sequence.
   *
   * @throws TidemarkError `unavailable` when NATS is away
   */
  readonly readBounds: (reaching: number) => Promise<LogBounds>;
  /** Whether a range that the archive lacks is, or may be, in that of another replay service. */
  readonly isElsewhere: (epoch: string, range: SequenceRange) => boolean;
  /** Most topics of one `after=last`. */
  readonly lastTopicsMax: number;
  /** Types of tombstones; none if absent. */
  readonly tombstones?: TypeFilter | undefined;
}

/** What is left of a query's range: the last events as of `after`, if `last` is set, and then the events after it. */
export interface Remaining extends LogRange {
  /** The last events up to this sequence were answered. */
  readonly last?: number;
}

/** The part of the archive that a query is about, fixed when the query began. */
export interface HistoryRange extends ArchiveSnapshot {
  readonly range: Remaining;
  /** Set when the query named a cursor of another log, or of a part that this log has lost. */
  readonly gap: Gap | undefined;
  /**
   * Checks a range that the archive lacks.
   *
   * @throws TidemarkError `unavailable` where another archive has it, so that it is not lost
   */
  readonly requireLost: (range: SequenceRange) => void;
  /** What last events are looked for with. */
  readonly lastLimits: Pick<HistorySource, 'lastTopicsMax' | 'tombstones'>;
}

/** Finds the range of a query. Where it names an event that was just stored, it waits for the archive. */
export async function resolveRange(
  query: HistoryQuery,
  source: HistorySource,
): Promise<HistoryRange> {
  await waitForArchive(source, furthestPosition(query));
  return presentRange(query, source);
}

/** Finds the range of a query in what the archive has now. */
export function presentRange(query: HistoryQuery, source: HistorySource): HistoryRange {
  const snapshot = source.store.snapshot();
  const { archive, bounds } = snapshot;
  const { before, fromMs, toMs } = query;
  let after = startOf(query, snapshot);
  let through = bounds.lastSequence;
  if (before) {
    const present = toPresent(bounds, before);
    // Events of another log count as older than all of this one.
    if (!present) through = 0;
    else through = Math.min(through, present.lost ? present.sequence : present.sequence - 1);
  }
  if (fromMs !== undefined) after = Math.max(after, archive.sequenceBefore(fromMs));
  if (toMs !== undefined) through = Math.min(through, archive.sequenceUntil(toMs));
  const last = query.after?.kind === 'last' ? (query.after.place?.after ?? 0) : undefined;
  return {
    ...snapshot,
    range: { after, through, ...(last !== undefined && { last }) },
    requireLost: (range) => requireLost(source, bounds.epoch, range),
    lastLimits: source,
    gap: lostCursor(query, bounds),
  };
}

/**
 * Waits until the archive has reached a position, if the stream has passed it already.
 *
 * @throws TidemarkError `unavailable` when the archive does not reach it in `ARCHIVE_WAIT_MS`
 */
export async function waitForArchive(
  { store, progress, readBounds }: HistorySource,
  needed: Position | undefined,
): Promise<void> {
  if (!needed) return;
  const { bounds } = store.snapshot();
  const archived = toPresent(bounds, needed);
  if (archived && (archived.lost || archived.sequence <= bounds.lastSequence)) return;
  const stream = await readBounds(needed.sequence);
  const stored = toPresent(stream, needed);
  if (!stored || stored.lost || stored.sequence > stream.lastSequence) return;
  const isAligned = stream.epoch === bounds.epoch;
  if (isAligned && (await progress.waitForSequence(stored.sequence, ARCHIVE_WAIT_MS))) return;
  throw new TidemarkError('unavailable', 'The archive has not reached that event yet.');
}

/**
 * Checks a range that the archive lacks.
 *
 * @throws TidemarkError `unavailable` where another archive has it, from which this one is being filled
 */
export function requireLost(
  { isElsewhere }: Pick<HistorySource, 'isElsewhere'>,
  epoch: string,
  range: SequenceRange,
): void {
  if (!isElsewhere(epoch, range)) return;
  throw new TidemarkError('unavailable', 'This part of the log may be in another archive.', {
    retryAfterSeconds: 1,
  });
}

/** A range that no archive has, as clients see it. */
export function toGap({ from, to }: SequenceRange, epoch: string): Gap {
  return {
    from: formatCursor({ epoch, sequence: from - 1 }),
    to: formatCursor({ epoch, sequence: to }),
    reason: 'expired',
  };
}

function startOf({ after }: HistoryQuery, { archive, bounds }: ArchiveSnapshot): number {
  // They begin at 0, so that the answer shows what is missing before the archive.
  if (after === undefined || after.kind === 'earliest') return 0;
  if (after.kind === 'latest') return bounds.lastSequence;
  if (after.kind === 'last')
    return after.place ? placeIn(bounds, after.place.asOf) : bounds.lastSequence;
  if (after.kind === 'time') return archive.sequenceBefore(after.timeMs);
  return toPresent(bounds, after.position)?.sequence ?? bounds.firstSequence - 1;
}

/** Of the last events as of a lost position, those that were answered may not be the last ones any more. */
function placeIn(bounds: LogBounds, asOf: Position): number {
  const present = toPresent(bounds, asOf);
  if (present && !present.lost) return present.sequence;
  throw new TidemarkError(
    'invalid_cursor',
    'The log no longer has the position of this page; begin again with after=last.',
  );
}

/** The furthest event that the query's cursors name. */
function furthestPosition({ after, before }: HistoryQuery): Position | undefined {
  const start = after?.kind === 'cursor' ? after.position : asOfPlace(after);
  if (!before || before.sequence === 0) return start;
  const last = { epoch: before.epoch, sequence: before.sequence - 1 };
  return start && start.epoch === last.epoch && start.sequence > last.sequence ? start : last;
}

function asOfPlace(after: HistoryStart | undefined): Position | undefined {
  return after?.kind === 'last' ? after.place?.asOf : undefined;
}

/** The gap for the first of the query's cursors that names what this log does not have. */
function lostCursor({ after, before }: HistoryQuery, bounds: LogBounds): Gap | undefined {
  for (const position of [after?.kind === 'cursor' ? after.position : undefined, before]) {
    if (!position) continue;
    const { epoch, firstSequence } = bounds;
    const { sequence, lost } = toPresent(bounds, position) ?? { sequence: firstSequence - 1 };
    if (lost === false) continue;
    const to = formatCursor({ epoch, sequence });
    return { from: formatCursor(position), to, reason: lost ? 'future' : 'epoch' };
  }
  return undefined;
}
