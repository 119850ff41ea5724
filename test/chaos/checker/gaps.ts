import type { Deliver } from '@tidemark/protocol';
import type { GapRecord } from '../history.ts';
import type { Place } from './lineage.ts';
import type { TopicFilter } from './log.ts';
import type { Truth } from './truth.ts';

export const UNKNOWN_ARCHIVE =
  'a gap or a start of a server that was started while an archive was away';

/** A gap, and where the subscription stands that was told it. */
export interface ToldGap {
  readonly gap: GapRecord;
  readonly from: Place;
  readonly to: Place;
  readonly deliver: Deliver;
  readonly filter: TopicFilter;
  /** Every matching event up to this sequence has come. */
  readonly through: number;
}

/** Why a gap (PROTOCOL.md section 5) is false; `undefined` where it is true. */
export function whyFalseGap(told: ToldGap, truth: Truth): string | undefined {
  if (told.to.foreign) return `was sent to another log, ${told.gap.to}`;
  if (told.gap.reason === 'expired') {
    const why = whyNotExpired(told, truth);
    if (!why || !truth.faults.mayNotKnowArchive('gateway', told.gap.atMs)) return why;
    truth.found.except(UNKNOWN_ARCHIVE);
    return undefined;
  }
  if (told.gap.reason === 'future') return whyNotFuture(told, truth);
  if (!told.from.foreign) return `was told that ${told.gap.from} is of another log, and it is not`;
  return whyNotGone(0, told, truth);
}

function whyNotExpired(told: ToldGap, truth: Truth): string | undefined {
  const { gap, from, to } = told;
  // `live` may have told more than the cursor from which the client resumes.
  if (to.sequence <= from.sequence) return `was told a gap to ${gap.to}, which it had passed`;
  return whyNotGone(Math.max(from.sequence, told.through), told, truth);
}

function whyNotFuture(told: ToldGap, truth: Truth): string | undefined {
  const { gap, from, to, deliver, through } = told;
  if (from.foreign) return `was told that ${gap.from} is lost, and it is of another log`;
  if (!from.lost) {
    return isUntoldLoss(told, truth)
      ? undefined
      : `was told that ${gap.from} is lost, and it is not`;
  }
  if (deliver === 'all' && !to.lost && to.sequence < through) {
    return `was sent back to ${gap.to}, and the log kept what it had up to ${through}`;
  }
  return whyNotGone(from.sequence, told, truth);
}

/** Whether the log may have lost the place before it was told, while the epoch stayed. */
function isUntoldLoss({ gap, from, to }: ToldGap, { log, faults }: Truth): boolean {
  if (from.sequence <= to.sequence) return false;
  let firstStoredMs = Number.POSITIVE_INFINITY;
  for (let sequence = to.sequence + 1; sequence <= from.sequence; sequence++) {
    firstStoredMs = Math.min(firstStoredMs, log.storedMsOf(sequence));
  }
  return faults.endLossesBefore(gap.atMs).some(({ beginMs }) => firstStoredMs >= beginMs);
}

/** No store has a matching event in the gap. */
function whyNotGone(after: number, told: ToldGap, { log, faults }: Truth): string | undefined {
  const { gap, to, filter } = told;
  let next = log.nextMatch(filter, after, to.sequence);
  for (; next; next = log.nextMatch(filter, next, to.sequence)) {
    if (log.attemptMsOf(next) > gap.atMs && faults.mayHaveLostEnd(gap.atMs)) continue;
    const event = `${log.idOf(next)} of ${log.topicOf(next)} at ${next}`;
    return `was told a gap ${gap.from} to ${gap.to} (${gap.reason}), and a store has ${event}`;
  }
  return undefined;
}
