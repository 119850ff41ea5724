import type { Start } from '@tidemark/protocol';
import { UNKNOWN_ARCHIVE } from './gaps.ts';
import type { Place } from './lineage.ts';
import type { TopicFilter } from './log.ts';
import type { Truth } from './truth.ts';

/** What a subscription without a cursor asked for. */
interface Asked {
  readonly start: Start;
  /** The acknowledged end of the log when it asked. */
  readonly end: number;
  readonly filter: TopicFilter;
}

/** Why a start (PROTOCOL.md section 4) is not the one that was asked for; `undefined` where it is. */
export function whyWrongStart(
  asked: Asked,
  to: Place,
  atMs: number,
  { log, faults, found }: Truth,
): string | undefined {
  const { start, end, filter } = asked;
  if (to.foreign) return 'which is of another log';
  if (to.lost) return undefined;
  if (start.kind === 'latest') return whyNotLatest(end, to, atMs, { log, faults, found });
  let next = log.nextMatch(filter, 0, to.sequence);
  for (; next; next = log.nextMatch(filter, next, to.sequence)) {
    const isWanted = start.kind !== 'time' || log.timeMsOf(next) >= start.timeMs;
    const isRegrown = log.attemptMsOf(next) > atMs && faults.mayHaveLostEnd(atMs);
    if (!isWanted || isRegrown) continue;
    if (!faults.mayNotKnowArchive('gateway', atMs)) {
      return `and so misses ${log.idOf(next)} at ${next}`;
    }
    found.except(UNKNOWN_ARCHIVE);
    return undefined;
  }
  return undefined;
}

function whyNotLatest(
  end: number,
  { sequence }: Place,
  atMs: number,
  { log, faults, found }: Pick<Truth, 'log' | 'faults' | 'found'>,
): string | undefined {
  if (faults.mayHaveLostEnd(atMs)) return undefined;
  if (sequence < end && faults.mayHideEnd(atMs)) {
    // Where nobody tells a gateway the end of the stream, `latest` begins at the end that it knows.
    found.except('latest began at the end that a gateway knew without NATS');
    return undefined;
  }
  if (sequence < end) return `and ${end} had been acknowledged before it asked`;
  if (log.attemptMsOf(sequence) > atMs) return 'an event that was published only later';
  return undefined;
}
