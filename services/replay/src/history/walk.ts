import {
  type ArchivedEvent,
  formatCursor,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import { withId } from '../selection/event-id.ts';
import type { Selection } from '../selection/selection.ts';
import { findLast, LastSearch } from '../serving/last-search.ts';
import { examinedPart, isEmpty, type LogRange, type Order } from '../sqlite/log-range.ts';
import { formatPlace, type HistoryQuery } from './query.ts';
import type { HistoryRange, Remaining } from './range.ts';

/** Bytes after which a step ends; the event that passes the limit is its last. */
export const STEP_BYTES_MAX = 256 * 1024;

/** One step of a walk: what it found and what is left to look at. */
export interface Step {
  readonly events: readonly ArchivedEvent[];
  readonly missing: readonly SequenceRange[];
  readonly remaining: Remaining;
}

export interface StepLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/** Runs a step of a request when its user is next, and throws once nobody wants it any more. */
export type RunStep = <T>(step: () => T) => Promise<T>;

/** How a walk is made. */
export interface WalkOptions {
  /** Asked before each step; `undefined` ends the walk. */
  readonly limits: () => StepLimits | undefined;
  readonly runStep: RunStep;
  /** Selects the events; a selection that others use too if absent. */
  readonly select?: () => Selection;
}

/**
 * Walks a range in short synchronous steps, which share one queue with those of all other requests, so that
 * no query holds up the projector or another request.
 *
 * @throws TidemarkError `unavailable` when the stream is replaced during the walk, or when it comes to a
 *   part that only another archive has
 */
export async function* walk(
  range: HistoryRange,
  query: HistoryQuery,
  options: WalkOptions,
): AsyncGenerator<Step> {
  const { after, through, last } = range.range;
  if (last !== undefined && !(yield* walkLast(range, last, { query, options }))) return;
  const steps = walkRange({ ...range, range: { after, through } }, query, options);
  if (query.id === undefined) return yield* steps;
  const isWanted = withId(query.id);
  for await (const step of steps) yield { ...step, events: step.events.filter(isWanted) };
}

/**
 * Walks the last events as of the begin of the range, those after a sequence. Each page looks for them anew, so
 * that no page holds anything for the next one.
 *
 * @returns whether it came to the end of them
 */
async function* walkLast(
  { archive, range, requireLost, lastLimits }: HistoryRange,
  after: number,
  { query, options }: { readonly query: HistoryQuery; readonly options: WalkOptions },
): AsyncGenerator<Step, boolean> {
  const { limits, runStep } = options;
  const { after: asOf, through } = range;
  let next = limits();
  if (!next) return false;
  // A newer event than the one that is found, or one of a further topic, may be in a part that the archive lacks.
  const missing = archive.missingRanges({ after: 0, through: asOf });
  for (const hole of missing) requireLost(hole);
  const { lastTopicsMax: topicsMax, tombstones } = lastLimits;
  const { criteria } = query;
  const search = new LastSearch({ archive, criteria, through: asOf, after, tombstones });
  const sequences = await findLast(search, { topicsMax, runStep });
  let at = 0;
  do {
    const { eventsMax, bytesMax } = next;
    const part = sequences.slice(at, at + eventsMax);
    const { events, looked } = await runStep(() => archive.readEvents(part, bytesMax));
    const isFirst = at === 0 && after === 0;
    at += looked;
    const isLast = at === sequences.length;
    const remaining = {
      after: asOf,
      through,
      ...(!isLast && { last: sequences[at - 1] ?? after }),
    };
    yield { events, missing: isFirst ? missing : [], remaining };
    if (isLast) return true;
    next = limits();
  } while (next);
  return false;
}

/** Walks the part of an archive that a range names. Throws as `walk`. */
export async function* walkRange(
  { archive, range, requireLost }: Pick<HistoryRange, 'archive' | 'range' | 'requireLost'>,
  { criteria, order }: Pick<HistoryQuery, 'criteria' | 'order'>,
  { limits, runStep, select }: WalkOptions,
): AsyncGenerator<Step> {
  let left: LogRange = range;
  // In ascending order it is used up to where the archive ended when it was made.
  const firstOf = ({ after, through }: LogRange) => (order === 'asc' ? after + 1 : through);
  let selection: ReturnType<typeof archive.select> | undefined;
  let { revision } = archive;
  const readStep = (limit: StepLimits): Step => {
    if (!archive.open) {
      throw new TidemarkError('unavailable', 'The stream was replaced during the query.');
    }
    // The names of newer events, and of filled ones, are not in a selection that was made before.
    const isStale = archive.revision !== revision || (selection?.through ?? 0) < firstOf(left);
    if (!selection || isStale) {
      selection = select?.() ?? archive.select(criteria, firstOf(left));
    }
    revision = archive.revision;
    const { events, remaining } = selection.readPage({ ...left, ...limit, order });
    const missing = archive.missingRanges(examinedPart(left, remaining, order));
    for (const hole of missing) requireLost(hole);
    return { events, missing, remaining };
  };
  for (let next = limits(); next && !isEmpty(left); next = limits()) {
    const limit = next;
    const step = await runStep(() => readStep(limit));
    left = step.remaining;
    yield step;
  }
}

/** Whether nothing of a range is left. */
export function isComplete({ last, ...range }: Remaining): boolean {
  return last === undefined && isEmpty(range);
}

/** The cursor to continue with: as `after` in ascending order, as `before` in descending order. */
export function nextCursor(
  epoch: string,
  { after, through, last }: Remaining,
  order: Order,
): string {
  if (last !== undefined) return formatPlace({ epoch, sequence: after }, last);
  return formatCursor({ epoch, sequence: order === 'asc' ? after : through + 1 });
}

/** The text of an item: `{"cursor":"…","event":` + JSON + `}`, with the stored JSON unchanged. */
export function itemText(epoch: string, { sequence, json }: ArchivedEvent): string {
  return `{"cursor":"${formatCursor({ epoch, sequence })}","event":${json}}`;
}
