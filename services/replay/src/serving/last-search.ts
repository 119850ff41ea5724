import { ConfigurationError } from '@tidemark/config';
import {
  type ArchivedEvent,
  type LastPlace,
  type LastStep,
  PatternMatcher,
  splitTypes,
  TidemarkError,
  TypeFilter,
  tooManyTopics,
  typesFault,
} from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import type { Criteria, Filter } from '../selection/filters.ts';
import { topicRanges } from '../selection/topic-ranges.ts';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';

/** Topics in one read of the file, and how long one synchronous step works. */
const NAMES_PER_READ = 200;
const STEP_MS = 4;

/** Events of a topic that are looked at together, the first time and at most, for one that a filter lets pass. */
const LOOKED_FIRST = 4;
const LOOKED_MAX = 256;

/** Where a search begins. */
export const FIRST_PLACE: LastPlace = { topic: '' };

export interface LastSearchOptions {
  readonly archive: Archive;
  readonly criteria: Criteria;
  /** Later events do not count. The archive must have reached this sequence. */
  readonly through: number;
  /** Only last events after this one are looked for; all if absent. */
  readonly after?: number;
  /** Types of tombstones; none if absent. */
  readonly tombstones?: TypeFilter | undefined;
}

/**
 * The search for the last events: the newest event of each topic that meets some criteria, as of one sequence. It
 * reads the list of topics, which knows the last event of each, so its work follows from the number of topics. Where
 * a filter refuses the newest event of a topic, it looks at the older ones of that topic until one passes.
 */
export class LastSearch {
  readonly #options: LastSearchOptions;
  readonly #matcher: PatternMatcher;
  readonly #filters: readonly Filter[];
  readonly #tombstones: Filter | 'all' | undefined;
  readonly #revision: number;

  constructor(options: LastSearchOptions) {
    this.#options = options;
    const { archive, criteria, tombstones } = options;
    this.#matcher = new PatternMatcher(criteria.patterns);
    this.#filters = archive.filtersFor({ ...criteria, patterns: ['>'] });
    this.#tombstones = tombstones && tombstoneFilter(archive, tombstones);
    this.#revision = archive.revision;
  }

  /**
   * Makes one short step.
   *
   * @throws TidemarkError `unavailable` when the archive was replaced, filled or cut since the search began
   */
  step(place: LastPlace): LastStep {
    const { archive } = this.#options;
    if (!archive.open || archive.revision !== this.#revision) {
      throw new TidemarkError('unavailable', 'The archive has changed during the query.', {
        retryAfterSeconds: 1,
      });
    }
    if (this.#filters.some(({ entries }) => entries?.length === 0)) {
      return { sequences: [], next: null };
    }
    return archive.readConsistently(() => this.#searchTopics(place));
  }

  #searchTopics(place: LastPlace): LastStep {
    const { through, after = 0 } = this.#options;
    const endMs = performance.now() + STEP_MS;
    const isOver = (): boolean => performance.now() >= endMs;
    const sequences: number[] = [];
    for (const topic of this.#listTopics(place)) {
      const { name } = topic;
      const isLookedAt = name === place.topic && place.before !== undefined;
      const newest = isLookedAt ? (place.before ?? 1) - 1 : through;
      if (topic.lastSequence > after && this.#matcher.matches(name)) {
        const { sequence, before } = this.#lastOf(topic, newest, isOver);
        if (before !== undefined) return { sequences, next: { topic: name, before } };
        if (sequence > after && !this.#isTombstone(sequence)) sequences.push(sequence);
      }
      if (isOver()) return { sequences, next: { topic: name } };
    }
    return { sequences, next: null };
  }

  /** @returns 0 without one; `before` where the step ended before it was found */
  #lastOf(
    topic: DictionaryEntry,
    through: number,
    isOver: () => boolean,
  ): { readonly sequence: number; readonly before?: number } {
    const { archive } = this.#options;
    if (topic.firstSequence > through) return { sequence: 0 };
    if (this.#filters.length === 0) return { sequence: archive.lastOfTopic(topic, through) };
    let newest = through;
    for (let limit = LOOKED_FIRST; ; limit = Math.min(limit * 4, LOOKED_MAX)) {
      const read = archive.newestOfTopic(topic, newest, limit);
      const sequence = read.find((one) => {
        if (archive.isHidden(one)) return false;
        const keys = archive.keysOf(one);
        return this.#filters.every((filter) => filter.accepts(keys));
      });
      if (sequence !== undefined) return { sequence };
      const oldest = read.at(-1);
      if (oldest === undefined || read.length < limit) return { sequence: 0 };
      if (isOver()) return { sequence: 0, before: oldest };
      newest = oldest - 1;
    }
  }

  #isTombstone(sequence: number): boolean {
    const tombstones = this.#tombstones;
    if (tombstones === undefined) return false;
    const { archive } = this.#options;
    if (tombstones !== 'all' && !tombstones.accepts(archive.keysOf(sequence))) return false;
    const event = archive.findEvent(sequence);
    return event !== undefined && !hasData(event);
  }

  *#listTopics({ topic, before }: LastPlace): Generator<DictionaryEntry> {
    const { archive, criteria } = this.#options;
    const unfinished = before === undefined ? undefined : archive.topics.findEntry(topic);
    if (unfinished) yield unfinished;
    for (const range of topicRanges(criteria.patterns)) {
      for (let last: string | undefined = topic; last !== undefined && range.below > last; ) {
        const names = { ...range, after: last, limit: NAMES_PER_READ };
        const read = archive.topics.listEntries(names);
        yield* read;
        last = read.length < NAMES_PER_READ ? undefined : read.at(-1)?.name;
      }
    }
  }
}

/**
 * Reads the configured types of tombstones.
 *
 * @returns `undefined` for none
 * @throws ConfigurationError
 */
export function parseTombstones(text: string): TypeFilter | undefined {
  if (text.trim() === '') return undefined;
  const types = splitTypes(text);
  const fault = typesFault(types);
  if (fault !== undefined) throw new ConfigurationError([`TIDEMARK_TOMBSTONE_TYPES ${fault}`]);
  return new TypeFilter(types);
}

/** @returns `undefined` where the archive has no event of these types */
function tombstoneFilter(archive: Archive, { list }: TypeFilter): Filter | 'all' | undefined {
  const [filter] = archive.filtersFor({ patterns: ['>'], types: list });
  if (!filter) return 'all';
  return filter.entries?.length === 0 ? undefined : filter;
}

function hasData({ json }: ArchivedEvent): boolean {
  const { data, data_base64: bytes } = JSON.parse(json) as Record<string, unknown>;
  return (data ?? bytes ?? null) !== null;
}

/** Runs one step of a search when its user is next. */
type RunStep = <T>(step: () => T) => Promise<T>;

/**
 * Makes a whole search.
 *
 * @returns the sequences in the order of the log
 * @throws TidemarkError `limit_exceeded` beyond `topicsMax`; what `step` and `runStep` throw
 */
export async function findLast(
  search: LastSearch,
  { topicsMax, runStep }: { readonly topicsMax: number; readonly runStep: RunStep },
): Promise<number[]> {
  const found: number[] = [];
  for (let place: LastPlace | null = FIRST_PLACE; place !== null; ) {
    const from: LastPlace = place;
    const step: LastStep = await runStep(() => search.step(from));
    for (const sequence of step.sequences) found.push(sequence);
    if (found.length > topicsMax) throw tooManyTopics(topicsMax);
    place = step.next;
  }
  return found.sort((left, right) => left - right);
}
