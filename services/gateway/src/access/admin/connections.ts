import type { ConnectionInfo, ConnectionPage } from '@tidemark/protocol';

/** The first connections of all gateways, and where the rest begins. */
export interface MergedPages {
  readonly items: readonly ConnectionInfo[];
  readonly next: string | null;
}

/**
 * Merges the pages of several gateways, each in the order of the ids. Nothing after the end of a page is taken from the
 * others: something of that gateway may come before it.
 */
export function mergePages(pages: readonly ConnectionPage[], limit: number): MergedPages {
  const ends = pages.flatMap(({ end }) => end ?? []).sort();
  const [end = null] = ends;
  const all = pages
    .flatMap(({ items }) => items)
    .filter(({ connection }) => end === null || connection <= end)
    .sort((left, right) => (left.connection < right.connection ? -1 : 1));
  const items = all.slice(0, limit);
  return { items, next: all.length > limit ? (items.at(-1)?.connection ?? null) : end };
}
