import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '@tidemark/auth';
import { formatCursor, TidemarkError } from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import type { Entry } from '../archive/dictionary.ts';
import { matchesAny } from '../archive/facets.ts';
import type { Standing } from '../archive/shelf.ts';
import { narrowed, topicRanges } from '../archive/topic-ranges.ts';
import { PAGE_EVENTS_DEFAULT, type TopicsQuery } from './query.ts';

/** Names that one synchronous step looks at. */
const STEP_NAMES_MAX = 1000;

export interface TopicsPage {
  readonly items: readonly {
    readonly topic: string;
    readonly count: number;
    readonly first: string;
    readonly last: string;
  }[];
  /** Topic to pass as `after`, `null` when nothing is left. */
  readonly next: string | null;
  readonly complete: boolean;
}

/**
 * The topics that match the query and that the token may see, by name.
 *
 * A page is searched to its end, however many other topics stand between, because a `next` that
 * told how far the search came would be the name of one that the token may not see.
 *
 * @throws TidemarkError `forbidden` for a token without any grant on history
 */
export async function readTopics(
  { archive, position }: Standing,
  query: TopicsQuery,
  { principal, limitMax }: { readonly principal: Principal; readonly limitMax: number },
): Promise<TopicsPage> {
  const granted = principal.grants
    .filter(({ action }) => action === 'history')
    .map(({ pattern }) => pattern);
  if (granted.length === 0) {
    throw new TidemarkError('forbidden', 'The token permits no history.');
  }
  const asked = query.patterns ?? granted;
  const limit = query.limit ?? Math.min(PAGE_EVENTS_DEFAULT, limitMax);
  const found: Entry[] = [];
  for await (const entry of entries(archive, narrowed(asked, granted), query.after)) {
    if (!matchesAny(asked, entry.name) || !matchesAny(granted, entry.name)) continue;
    found.push(entry);
    if (found.length > limit) break;
  }
  const complete = found.length <= limit;
  const page = found.slice(0, limit);
  const cursor = (sequence: number) => formatCursor({ epoch: position.epoch, sequence });
  return {
    items: page.map(({ name, count, firstSequence, lastSequence }) => ({
      topic: name,
      count,
      first: cursor(firstSequence),
      last: cursor(lastSequence),
    })),
    next: complete ? null : (page.at(-1)?.name ?? null),
    complete,
  };
}

async function* entries(
  archive: Archive,
  patterns: readonly string[],
  start: string,
): AsyncGenerator<Entry> {
  let after = start;
  for (const range of topicRanges(patterns)) {
    for (let more = true; more; ) {
      if (!archive.open) {
        throw new TidemarkError('unavailable', 'The stream was replaced by another one meanwhile.');
      }
      const names = archive.topics.range({ ...range, after, limit: STEP_NAMES_MAX });
      yield* names;
      more = names.length === STEP_NAMES_MAX;
      after = names.at(-1)?.name ?? after;
      await nextTurn();
    }
  }
}
