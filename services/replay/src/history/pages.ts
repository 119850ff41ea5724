import { isEmpty } from '../sqlite/log-range.ts';
import { type HistoryQuery, PAGE_EVENTS_DEFAULT } from './query.ts';
import { type Gap, type HistoryRange, toGap } from './range.ts';
import { itemText, nextCursor, type RunStep, walk } from './walk.ts';

/** Bytes of JSON after which a page ends; the event that passes the limit is its last. */
export const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Most steps for one page, which examine some 100,000 events. `next` continues after them. */
export const PAGE_STEPS_MAX = 32;

export interface HistoryPage {
  readonly text: string;
  readonly next: string;
  /** Whether nothing of the range is left after this page. */
  readonly complete: boolean;
}

/** Reads a page. A page with few events, or with none, need not be the last. */
export async function readPage(
  range: HistoryRange,
  query: HistoryQuery,
  { limitMax, runStep }: { readonly limitMax: number; readonly runStep: RunStep },
): Promise<HistoryPage> {
  const { order, limit = Math.min(PAGE_EVENTS_DEFAULT, limitMax) } = query;
  const { epoch } = range.bounds;
  const items: string[] = [];
  const gaps: Gap[] = range.gap ? [range.gap] : [];
  let left = range.range;
  let bytes = 0;
  let steps = 0;
  const limits = () => {
    if (items.length === limit || bytes >= PAGE_BYTES_MAX || steps++ === PAGE_STEPS_MAX) {
      return undefined;
    }
    return { eventsMax: limit - items.length, bytesMax: PAGE_BYTES_MAX - bytes };
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
  const complete = isEmpty(left);
  const rest = JSON.stringify({ next, complete, gaps }).slice(1);
  return { text: `{"items":[${items.join(',')}],${rest}`, next, complete };
}
