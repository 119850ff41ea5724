import {
  type NewestQuery,
  type NewestStep,
  PatternMatcher,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import { topicRanges } from '../selection/topic-ranges.ts';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';

/** Topics in one read of the file, and how long one synchronous step works. */
const NAMES_PER_READ = 200;
const STEP_MS = 4;

export interface NewestMatchOptions {
  readonly archive: Archive;
  readonly patterns: readonly string[];
  /** Later events do not count. The archive must have reached this sequence. */
  readonly through: number;
  /** Whether a range that the archive lacks is, or may be, in another archive. */
  readonly isElsewhere: (range: SequenceRange) => boolean;
}

/**
 * The search for the newest event of some topics. It reads the list of topics, which knows the last event of each,
 * so its work follows from the number of topics and not from that of the events.
 */
export class NewestMatch {
  readonly #options: NewestMatchOptions;
  readonly #matcher: PatternMatcher;
  readonly #ranges;

  constructor(options: NewestMatchOptions) {
    this.#options = options;
    this.#matcher = new PatternMatcher(options.patterns);
    this.#ranges = topicRanges(options.patterns);
  }

  /**
   * Makes one short step.
   *
   * @throws TidemarkError `unavailable` when the stream was replaced meanwhile, or by the last step where a newer event
   *   may be in another archive
   */
  step({ after, found = 0 }: Pick<NewestQuery, 'after' | 'found'>): NewestStep {
    const { archive, patterns, through, isElsewhere } = this.#options;
    if (!archive.open) {
      throw new TidemarkError('unavailable', 'The stream was replaced during the query.');
    }
    const step = patterns.includes('>')
      ? { sequence: archive.lastEvent({ after: 0, through })?.sequence ?? 0, next: null }
      : this.#searchTopics(after, found);
    if (step.next !== null) return step;
    if (archive.missingRanges({ after: step.sequence, through }).some(isElsewhere)) {
      throw new TidemarkError('unavailable', 'The newest event may be in another archive.', {
        retryAfterSeconds: 1,
      });
    }
    return step;
  }

  #searchTopics(after: string, found: number): NewestStep {
    const { archive, through } = this.#options;
    const endMs = performance.now() + STEP_MS;
    let sequence = found;
    for (const topics of this.#listTopics(after)) {
      for (const topic of topics) {
        if (topic.lastSequence <= sequence || !this.#matcher.matches(topic.name)) continue;
        sequence = Math.max(sequence, archive.lastOfTopic(topic, through));
      }
      const { name } = topics.at(-1) ?? {};
      if (name !== undefined && performance.now() >= endMs) return { sequence, next: name };
    }
    return { sequence, next: null };
  }

  *#listTopics(after: string): Generator<DictionaryEntry[]> {
    for (const range of this.#ranges) {
      for (let last: string | undefined = after; last !== undefined && range.below > last; ) {
        const names = { ...range, after: last, limit: NAMES_PER_READ };
        const read = this.#options.archive.topics.listEntries(names);
        yield read;
        last = read.length < NAMES_PER_READ ? undefined : read.at(-1)?.name;
      }
    }
  }
}
