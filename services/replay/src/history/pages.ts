import { isEmpty } from '../archive/windows.ts';
import { type HistoryQuery, PAGE_EVENTS_DEFAULT } from './query.ts';
import { type Gap, type Span, toGap } from './span.ts';
import { itemText, nextCursor, walk } from './walk.ts';

/** JSON of events in one page; a page ends early with the event that passes it. */
export const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Steps of one page: some 100,000 events looked at, then `next` tells where to go on. */
export const PAGE_STEPS_MAX = 32;

export interface Page {
  readonly text: string;
  readonly next: string;
  /** Nothing was left of the range when the page was made. */
  readonly complete: boolean;
}

/** Reads a page; it may have few events or none and still not be the last. */
export async function readPage(span: Span, query: HistoryQuery, limitMax: number): Promise<Page> {
  const { order, limit = Math.min(PAGE_EVENTS_DEFAULT, limitMax) } = query;
  const { epoch } = span.position;
  const items: string[] = [];
  const gaps: Gap[] = span.gap ? [span.gap] : [];
  let left = span.range;
  let bytes = 0;
  let steps = 0;
  const limits = () => {
    if (items.length === limit || bytes >= PAGE_BYTES_MAX || steps++ === PAGE_STEPS_MAX) {
      return undefined;
    }
    return { eventsMax: limit - items.length, bytesMax: PAGE_BYTES_MAX - bytes };
  };
  for await (const { rows, missing, remaining } of walk(span, query, limits)) {
    for (const row of rows) {
      items.push(itemText(epoch, row));
      bytes += Buffer.byteLength(row.json);
    }
    gaps.push(...missing.map((range) => toGap(range, epoch)));
    left = remaining;
  }
  const next = nextCursor(epoch, left, order);
  const complete = isEmpty(left);
  const rest = JSON.stringify({ next, complete, gaps }).slice(1);
  return { text: `{"items":[${items.join(',')}],${rest}`, next, complete };
}
