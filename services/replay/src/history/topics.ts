import type { Principal } from '@tidemark/auth';
import { formatCursor, PatternMatcher, TidemarkError } from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveSnapshot } from '../archive/archive-store.ts';
import { type NameRange, narrowed, topicRanges } from '../selection/topic-ranges.ts';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { TopicsPage } from './descriptions.ts';
import { PAGE_EVENTS_DEFAULT, SEALED_MARK, type TopicsQuery } from './query.ts';
import type { PlaceSealer } from './sealed-place.ts';
import type { RunStep } from './walk.ts';

/** Topics in one read of the file, how long one synchronous step works, and the steps of one page. */
const NAMES_PER_READ = 200;
const STEP_MS = 4;
export const PAGE_STEPS_MAX = 32;

export interface TopicsOptions {
  readonly principal: Principal;
  readonly limitMax: number;
  readonly sealer: PlaceSealer;
  readonly runStep: RunStep;
}

/**
 * The topics that match the query and that the token may see, by name.
 *
 * A page also ends after `PAGE_STEPS_MAX` steps. `next` then names the last topic that was found, which the
 * token may see, and beside it the place that was reached, sealed. A place that another process sealed
 * counts for nothing: the search begins at the named topic, and continues until the page is full, so that
 * it comes further.
 *
 * @throws TidemarkError `forbidden` for a token without any grant on history
 */
export async function readTopics(
  { archive, bounds }: ArchiveSnapshot,
  query: TopicsQuery,
  { principal, limitMax, sealer, runStep }: TopicsOptions,
): Promise<TopicsPage> {
  const granted = principal.grants
    .filter(({ action }) => action === 'history')
    .map(({ pattern }) => pattern);
  if (granted.length === 0) {
    throw new TidemarkError('forbidden', 'The token does not permit history.');
  }
  const asked = query.patterns ?? granted;
  const request = JSON.stringify([principal.subject, asked, granted]);
  const { topic, sealed } = query.after;
  const place = sealed === undefined ? undefined : sealer.open(sealed, request);
  // A topic that began after the place was sealed could have been made to find out the name there.
  const end = place?.end ?? bounds.lastSequence;
  const { entries, complete, reached } = await findTopics(
    archive,
    {
      ranges: topicRanges(narrowed(asked, granted)),
      matchers: [asked, granted].map((patterns) => new PatternMatcher(patterns)),
      after: place?.name ?? topic,
      end,
      limit: query.limit ?? Math.min(PAGE_EVENTS_DEFAULT, limitMax),
      stepsMax: sealed !== undefined && !place ? Number.POSITIVE_INFINITY : PAGE_STEPS_MAX,
    },
    runStep,
  );
  const named = entries.at(-1)?.name ?? topic;
  const hidden =
    reached === undefined ? '' : `${SEALED_MARK}${sealer.seal({ name: reached, end }, request)}`;
  const cursor = (sequence: number) => formatCursor({ epoch: bounds.epoch, sequence });
  return {
    items: entries.map(({ name, count, firstSequence, lastSequence }) => ({
      topic: name,
      count,
      first: cursor(firstSequence),
      last: cursor(lastSequence),
    })),
    next: complete ? null : named + hidden,
    complete,
  };
}

interface Search {
  readonly ranges: readonly NameRange[];
  /** A topic must match all of them. */
  readonly matchers: readonly PatternMatcher[];
  readonly after: string;
  /** Topics that began after this sequence are passed over. */
  readonly end: number;
  readonly limit: number;
  readonly stepsMax: number;
}

interface Found {
  readonly entries: readonly DictionaryEntry[];
  readonly complete: boolean;
  /** The topic that was looked at last, where the search ended after its last step. */
  readonly reached?: string;
}

async function findTopics(archive: Archive, search: Search, runStep: RunStep): Promise<Found> {
  const reads = listTopics(archive, search);
  const found = { entries: [], reached: search.after };
  for (let steps = 0; steps < search.stepsMax; steps++) {
    const end = await runStep(() => searchStep(reads, search, found));
    if (end) return { entries: found.entries, complete: end === 'all' };
  }
  return { ...found, complete: false };
}

/** Looks on for `STEP_MS`. @returns how the search ended; `undefined` where it goes on */
function searchStep(
  reads: Iterator<DictionaryEntry[], void>,
  search: Search,
  found: { readonly entries: DictionaryEntry[]; reached: string },
): 'all' | 'full' | undefined {
  const endMs = performance.now() + STEP_MS;
  do {
    const { value: read } = reads.next();
    if (!read) return 'all';
    for (const entry of read) {
      if (!isWanted(entry, search)) continue;
      if (found.entries.length === search.limit) return 'full';
      found.entries.push(entry);
    }
    found.reached = read.at(-1)?.name ?? found.reached;
  } while (performance.now() < endMs);
  return undefined;
}

function isWanted({ name, firstSequence }: DictionaryEntry, { matchers, end }: Search): boolean {
  return firstSequence <= end && matchers.every((matcher) => matcher.matches(name));
}

function* listTopics(archive: Archive, { ranges, after }: Search): Generator<DictionaryEntry[]> {
  for (const range of ranges) {
    if (range.below <= after) continue;
    for (let last: string | undefined = after; last !== undefined; ) {
      if (!archive.open) {
        throw new TidemarkError('unavailable', 'The stream was replaced during the query.');
      }
      if (archive.truncating) {
        throw new TidemarkError('unavailable', 'The archive is removing events at the moment.');
      }
      requireCounted(archive);
      const read = archive.topics.listEntries({ ...range, after: last, limit: NAMES_PER_READ });
      yield read;
      last = read.length < NAMES_PER_READ ? undefined : read.at(-1)?.name;
    }
  }
}

/** Counts are those of the file, so what has expired must have left it. Its removal is a moment behind at most. */
function requireCounted(archive: Archive): void {
  let cause: unknown;
  try {
    if (!archive.hasExpired) return;
    archive.removeExpired();
    if (!archive.hasExpired) return;
  } catch (error) {
    cause = error;
  }
  throw new TidemarkError('unavailable', 'The archive is removing expired events.', {
    retryAfterSeconds: 1,
    cause,
  });
}
