import {
  type ArchivedEvent,
  formatCursor,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import type { Selection } from '../selection/selection.ts';
import { examinedPart, isEmpty, type LogRange, type Order } from '../sqlite/log-range.ts';
import type { HistoryQuery } from './query.ts';
import type { HistoryRange } from './range.ts';

/** Bytes after which a step ends; the event that passes the limit is its last. */
export const STEP_BYTES_MAX = 256 * 1024;

/** One step of a walk: what it found and what is left to look at. */
export interface Step {
  readonly events: readonly ArchivedEvent[];
  readonly missing: readonly SequenceRange[];
  readonly remaining: LogRange;
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
  { archive, range, requireLost }: Pick<HistoryRange, 'archive' | 'range' | 'requireLost'>,
  { criteria, order }: Pick<HistoryQuery, 'criteria' | 'order'>,
  { limits, runStep, select }: WalkOptions,
): AsyncGenerator<Step> {
  let left = range;
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

/** The cursor to continue with: as `after` in ascending order, as `before` in descending order. */
export function nextCursor(epoch: string, { after, through }: LogRange, order: Order): string {
  return formatCursor({ epoch, sequence: order === 'asc' ? after : through + 1 });
}

/** The text of an item: `{"cursor":"…","event":` + JSON + `}`, with the stored JSON unchanged. */
export function itemText(epoch: string, { sequence, json }: ArchivedEvent): string {
  return `{"cursor":"${formatCursor({ epoch, sequence })}","event":${json}}`;
}
