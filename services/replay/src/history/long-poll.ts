import type { Confirm, Response } from '@tidemark/http';
import { parseCursor } from '@tidemark/protocol';
import { type HistoryPage, readPage } from './pages.ts';
import type { HistoryQuery } from './query.ts';
import { type HistoryRange, type HistorySource, presentRange } from './range.ts';
import type { Read } from './reads.ts';
import { treeBytes } from './wait-tree.ts';
import type { Waits } from './waits.ts';

/** A page and the range that it was read from. */
export interface FoundPage {
  readonly range: HistoryRange;
  readonly page: HistoryPage;
}

export interface LongPollOptions extends HistorySource {
  readonly waits: Waits;
  readonly confirm: Confirm;
  /** Largest `limit` of a query. */
  readonly pageEventsMax: number;
}

/** Whether a request waits instead of taking this page. */
export function isWaiting(query: HistoryQuery, page: HistoryPage, response: Response): boolean {
  return (
    query.waitMs !== undefined && page.empty && page.complete && response.req.method !== 'HEAD'
  );
}

/**
 * Waits until the archive has something behind a page that was empty, and reads it. While the request waits it
 * holds no place among those that read, and no memory but that of its patterns.
 *
 * @returns an empty page where nothing came in the time of the query, or where the service stops
 * @throws TidemarkError `limit_exceeded` where too many wait; when the token has ended meanwhile; what a page throws
 */
export async function waitForPage(
  read: Read,
  query: HistoryQuery,
  { options, first }: { readonly options: LongPollOptions; readonly first: FoundPage },
): Promise<FoundPage> {
  const { principal, signal, runStep, takeBytes } = read;
  const { criteria, waitMs = 0 } = query;
  const flow = { user: principal.subject, connection: read.response };
  const wait = options.waits.begin({ principal, criteria, waitMs, signal });
  let how = 'failed';
  const readBehind = ({ page }: FoundPage) =>
    options.waits.reads.use({ flow, signal }, async () => {
      takeBytes(treeBytes(criteria.patterns));
      const after = { kind: 'cursor', position: parseCursor(page.next) } as const;
      // Not `resolveRange`: a cursor beyond the end would ask NATS each time, and in a cluster for seconds.
      const range = presentRange({ ...query, after }, options);
      const limits = { limitMax: options.pageEventsMax, runStep, takeBytes };
      return { range, page: await readPage(range, query, limits) };
    });
  try {
    let found = first;
    for (let over = false; ; ) {
      read.leavePlace();
      // Also before the first pause: what came between the page and the begin of the wait woke nobody.
      found = await readBehind(found);
      options.confirm(principal);
      if (over || !found.page.empty || !found.page.complete) {
        how = found.page.empty ? 'over' : 'found';
        return found;
      }
      read.leavePlace();
      takeBytes(treeBytes(criteria.patterns));
      const end = await wait.next();
      if (end === 'stopping') {
        how = end;
        return found;
      }
      over = end === 'over';
    }
  } finally {
    wait.end(signal.aborted ? 'left' : how);
  }
}
