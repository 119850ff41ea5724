import { type HistoryQuery, PAGE_EVENTS_DEFAULT } from './query.ts';
import { type Gap, type HistoryRange, type Remaining, toGap } from './range.ts';
import { isComplete, itemText, nextCursor, type RunStep, STEP_BYTES_MAX, walk } from './walk.ts';

/** Bytes of JSON after which a page ends; the event that passes the limit is its last. */
export const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Most steps for one page, which take its bytes or examine some 100,000 events. `next` continues after them. */
export const PAGE_STEPS_MAX = 32;

/** What pages are read with. */
export interface PageOptions {
  /** Largest `limit` of a query. */
  readonly limitMax: number;
  readonly runStep: RunStep;
  /** Takes memory for what a step reads. @throws TidemarkError `limit_exceeded` */
  readonly takeBytes: (bytes: number) => void;
}

export interface HistoryPage {
  readonly body: Buffer;
  readonly next: string;
  /** Whether it has neither an event nor a gap. */
  readonly empty: boolean;
  /** Whether nothing of the range is left after this page. */
  readonly complete: boolean;
}

/**
 * Reads a page. A page with few events, or with none, need not be the last.
 *
 * @throws TidemarkError `limit_exceeded` when there is no memory for its first step, or what `walk` throws
 */
export async function readPage(
  range: HistoryRange,
  query: HistoryQuery,
  { limitMax, runStep, takeBytes }: PageOptions,
): Promise<HistoryPage> {
  const { order, limit = Math.min(PAGE_EVENTS_DEFAULT, limitMax) } = query;
  const { epoch } = range.bounds;
  const items: string[] = [];
  const gaps: Gap[] = range.gap ? [range.gap] : [];
  let left: Remaining = range.range;
  let bytes = 0;
  let taken = 0;
  let steps = 0;
  const limits = () => {
    const full = items.length === limit || bytes >= PAGE_BYTES_MAX || steps++ === PAGE_STEPS_MAX;
    if (full || !takeStep()) return undefined;
    return { eventsMax: limit - items.length, bytesMax: STEP_BYTES_MAX };
  };
  /** @returns false where there is no memory for more, so that the page ends with what it has */
  const takeStep = (): boolean => {
    const more = bytes + STEP_BYTES_MAX - taken;
    try {
      takeBytes(more);
    } catch (error) {
      if (items.length === 0) throw error;
      return false;
    }
    taken += more;
    return true;
  };
  for await (const { events, missing, remaining } of walk(range, query, { limits, runStep })) {
    for (const event of events) {
      items.push(itemText(epoch, event));
      bytes += Buffer.byteLength(event.json);
    }
    gaps.push(...missing.map((hole) => toGap(hole, epoch)));
    left = remaining;
  }
  const next = nextCursor(epoch, left, order);
  const complete = isComplete(left);
  const rest = JSON.stringify({ next, complete, gaps }).slice(1);
  // Bytes, because a client may take them slowly, and texts would occupy the heap until then.
  return {
    body: Buffer.from(`{"items":[${items.join(',')}],${rest}`),
    next,
    empty: items.length === 0 && gaps.length === 0,
    complete,
  };
}
