import assert from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '@tidemark/auth';
import { formatCursor, TidemarkError } from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveSnapshot } from '../archive/archive-store.ts';
import { matchesAny } from '../selection/filters.ts';
import { narrowed, topicRanges } from '../selection/topic-ranges.ts';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import { PAGE_EVENTS_DEFAULT, type TopicsQuery } from './query.ts';

/** Most topics that one synchronous step looks at. */
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
 * The search continues until the page is full, however many other topics it passes. If it ended early,
 * `next` could name a topic that the token may not see.
 *
 * @throws TidemarkError `forbidden` for a token without any grant on history
 */
export async function readTopics(
  { archive, bounds }: ArchiveSnapshot,
  query: TopicsQuery,
  { principal, limitMax }: { readonly principal: Principal; readonly limitMax: number },
): Promise<TopicsPage> {
  const granted = principal.grants
    .filter(({ action }) => action === 'history')
    .map(({ pattern }) => pattern);
  if (granted.length === 0) {
    throw new TidemarkError('forbidden', 'The token does not permit history.');
  }
  const asked = query.patterns ?? granted;
  const limit = query.limit ?? Math.min(PAGE_EVENTS_DEFAULT, limitMax);
  const found: DictionaryEntry[] = [];
  for await (const entry of listTopics(archive, narrowed(asked, granted), query.after)) {
    if (!matchesAny(asked, entry.name) || !matchesAny(granted, entry.name)) continue;
    found.push(entry);
    if (found.length > limit) break;
  }
  const complete = found.length <= limit;
  const page = found.slice(0, limit);
  const last = complete ? undefined : page.at(-1);
  assert(complete || last, 'A page that is not complete has a topic.');
  const cursor = (sequence: number) => formatCursor({ epoch: bounds.epoch, sequence });
  return {
    items: page.map(({ name, count, firstSequence, lastSequence }) => ({
      topic: name,
      count,
      first: cursor(firstSequence),
      last: cursor(lastSequence),
    })),
    next: last?.name ?? null,
    complete,
  };
}

async function* listTopics(
  archive: Archive,
  patterns: readonly string[],
  start: string,
): AsyncGenerator<DictionaryEntry> {
  let after = start;
  for (const range of topicRanges(patterns)) {
    for (let more = true; more; ) {
      if (!archive.open) {
        throw new TidemarkError('unavailable', 'The stream was replaced during the query.');
      }
      if (archive.truncating) {
        throw new TidemarkError('unavailable', 'The archive is removing events at the moment.');
      }
      const topics = archive.topics.listEntries({ ...range, after, limit: STEP_NAMES_MAX });
      yield* topics;
      more = topics.length === STEP_NAMES_MAX;
      after = topics.at(-1)?.name ?? after;
      await nextTurn();
    }
  }
}
