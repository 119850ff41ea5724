import { formatCursor, type GapReason, type Position, TidemarkError } from '@tidemark/protocol';
import type { Shelf, Standing } from '../archive/shelf.ts';
import { isEmpty, type MissingRange, type Range } from '../archive/windows.ts';
import type { Progress } from '../projector/progress.ts';
import type { HistoryQuery } from './query.ts';

/** How long a read waits for the projection to come to an event that the stream has already. */
export const PROJECTION_WAIT_MS = 2000;

/** Events after `from`, up to and with `to`, are not there (PROTOCOL.md section 5). */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: GapReason;
}

export interface Log {
  readonly shelf: Shelf;
  readonly progress: Progress;
  /** The stream's last sequence now. @throws TidemarkError `unavailable` when NATS is away */
  readonly readEnd: () => Promise<number>;
}

/** The part of the archive that a query is about, fixed when it began. */
export interface Span extends Standing {
  readonly range: Range;
  /** Set when the query named a position in another stream than this one. */
  readonly gap: Gap | undefined;
}

/** Finds the range of a query, after a wait where it names an event just stored. */
export async function locate(query: HistoryQuery, log: Log): Promise<Span> {
  await catchUp(log, neededBy(query));
  const standing = log.shelf.standing();
  const { archive, position } = standing;
  const { before, fromMs, toMs } = query;
  const foreign = foreignPosition(query, position.epoch);
  const earliest = position.firstSequence - 1;
  let after = startOf(query, standing);
  let through = position.sequence;
  if (before) {
    const known = before.epoch === position.epoch;
    // Another stream's events all lie before this one's, as far as anybody can tell.
    through = Math.min(through, known ? before.sequence - 1 : earliest);
  }
  if (fromMs !== undefined) after = Math.max(after, archive.sequenceAt(fromMs));
  if (toMs !== undefined) through = Math.min(through, archive.sequenceAt(toMs));
  return {
    ...standing,
    range: { after, through },
    gap: foreign && {
      from: formatCursor(foreign),
      to: formatCursor({ epoch: position.epoch, sequence: earliest }),
      reason: 'epoch',
    },
  };
}

/** Waits until the archive has come to a position that the stream has already passed. */
export async function catchUp(log: Log, needed: Position | undefined): Promise<void> {
  if (!needed) return;
  const { position } = log.shelf.standing();
  if (needed.epoch !== position.epoch || needed.sequence <= position.sequence) return;
  if ((await log.readEnd()) < needed.sequence) return;
  if (await log.progress.reached(needed.sequence, PROJECTION_WAIT_MS)) return;
  throw new TidemarkError('unavailable', 'The projection has not come that far yet.');
}

/** What the archive never got of a range, as clients are told. */
export function toGap({ from, to }: MissingRange, epoch: string): Gap {
  return {
    from: formatCursor({ epoch, sequence: from - 1 }),
    to: formatCursor({ epoch, sequence: to }),
    reason: 'expired',
  };
}

export function missingWithin({ archive }: Standing, range: Range): MissingRange[] {
  return isEmpty(range) ? [] : archive.missing(range);
}

function startOf({ after, fromMs }: HistoryQuery, { archive, position }: Standing): number {
  const earliest = position.firstSequence - 1;
  // With a time the beginning of the archive is no answer: what is missing before it is told.
  if (after === undefined) return fromMs === undefined ? earliest : 0;
  if (after.kind === 'earliest') return earliest;
  if (after.kind === 'latest') return position.sequence;
  if (after.kind === 'time') return archive.sequenceAt(after.timeMs);
  return after.position.epoch === position.epoch ? after.position.sequence : earliest;
}

/** The furthest event that the query's cursors speak of. */
function neededBy({ after, before }: HistoryQuery): Position | undefined {
  const start = after?.kind === 'cursor' ? after.position : undefined;
  if (!before || before.sequence === 0) return start;
  const last = { epoch: before.epoch, sequence: before.sequence - 1 };
  return start && start.epoch === last.epoch && start.sequence > last.sequence ? start : last;
}

function foreignPosition({ after, before }: HistoryQuery, epoch: string): Position | undefined {
  const positions = [after?.kind === 'cursor' ? after.position : undefined, before];
  return positions.find((position) => position !== undefined && position.epoch !== epoch);
}
