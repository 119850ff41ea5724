import type { FeedChoice } from '../../events/event-feed.ts';
import { patternsFor } from '../../events/grants.ts';

/** Fields of the address: the events that are shown, and the pattern of the tree. */
export type TopicsQuery = FeedChoice & { readonly tree?: string };

/** Patterns that a query may have (PROTOCOL.md section 8.2). */
const PATTERNS_MAX = 100;

/** Reads the address. Without topics it is all whose history the token may read, or else all that it may subscribe to. */
export function readChoice(query: URLSearchParams, permissions: readonly string[]): TopicsQuery {
  const given = Object.fromEntries(
    ['type', 'source', 'from', 'to', 'tree'].flatMap((name) => {
      const value = query.get(name);
      return value ? [[name, value]] : [];
    }),
  );
  return { ...given, topics: query.get('topics') || allTopics(permissions) };
}

function allTopics(permissions: readonly string[]): string {
  const readable = patternsFor(permissions, 'history');
  const patterns = readable.length > 0 ? readable : patternsFor(permissions, 'subscribe');
  return patterns.includes('>') ? '>' : patterns.slice(0, PATTERNS_MAX).join(',');
}

/** A time of a field (`2026-01-31T12:00`, in the time zone of the person) as RFC 3339; empty for no time. */
export function toTime(local: string): string {
  const time = new Date(local);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

/** The other way. */
export function toLocal(time: string | undefined): string {
  const date = new Date(time ?? '');
  if (Number.isNaN(date.getTime())) return '';
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}
