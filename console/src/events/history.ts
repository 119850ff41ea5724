import { type CallOptions, call, callWithHeaders } from '../api/request.ts';
import type { CloudEvent } from '../api/types.ts';

/** An event and its place in the log. */
export interface Item {
  readonly cursor: string;
  readonly event: CloudEvent;
}

/** One event, and when the stream stored it (PROTOCOL.md section 11.2). */
export interface StoredItem extends Item {
  readonly storedAt: string;
}

export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** What is asked of the history (section 11.1). What is empty is not asked for. */
export interface HistoryQuery {
  /** Patterns, with commas between them. */
  readonly topics: string;
  readonly type?: string;
  readonly source?: string;
  /** RFC 3339. */
  readonly from?: string;
  readonly to?: string;
  readonly after?: string;
  readonly before?: string;
  readonly order?: 'asc' | 'desc';
  readonly limit?: number;
}

/** Events, oldest or newest first by `order`. */
export interface HistoryPage {
  readonly items: readonly Item[];
  readonly gaps: readonly Gap[];
  readonly next: string;
  readonly complete: boolean;
}

/** @returns the page, and the end of the archive when it was read, from which a subscription goes on without a hole */
export async function readHistory(
  query: HistoryQuery,
  signal?: AbortSignal,
): Promise<HistoryPage & { readonly position: string | null }> {
  const options = at(signal, { ...query });
  const { answer, headers } = await callWithHeaders<HistoryPage>('GET', '/v1/events', options);
  return { ...answer, position: headers.get('Tidemark-Position') };
}

export function readEvent(cursor: string, signal?: AbortSignal): Promise<StoredItem> {
  return call('GET', `/v1/events/${encodeURIComponent(cursor)}`, at(signal));
}

/** The events of the topic right before and right after a cursor. */
export async function readNeighbours(
  topics: string,
  cursor: string,
  signal?: AbortSignal,
): Promise<{ readonly before: Item | undefined; readonly after: Item | undefined }> {
  const [before, after] = await Promise.all([
    readHistory({ topics, before: cursor, order: 'desc', limit: 1 }, signal),
    readHistory({ topics, after: cursor, limit: 1 }, signal),
  ]);
  return { before: before.items[0], after: after.items[0] };
}

function at(signal: AbortSignal | undefined, query: CallOptions['query'] = {}): CallOptions {
  return { service: 'replay', query, ...(signal && { signal }) };
}
