import { createHash } from 'node:crypto';
import { overlaps, PatternMatcher } from '@tidemark/protocol';

/** Longer keys are hashed, because groups and reads keep them beside the patterns. */
const KEY_LENGTH_MAX = 100;

/** With more patterns than this, overlaps are found with a matcher. */
const COMPARED_MAX = 4;

/**
 * The patterns of one or of several subscriptions. Equal sets have equal keys.
 *
 * Most sets have one topic of one connection, and most are live, where nothing is matched here. They must be
 * small, so the matcher is made when it is needed, and forgotten when the subscription is live.
 */
export class PatternSet {
  /** Sorted, without duplicates. */
  readonly list: readonly string[];
  readonly key: string;
  #matcher: PatternMatcher | undefined;

  constructor(patterns: Iterable<string>) {
    this.list = [...new Set(patterns)].sort();
    const text = this.list.join(',');
    this.key = text.length > KEY_LENGTH_MAX ? hash(text) : text;
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    return new PatternSet(all.flatMap(({ list }) => list));
  }

  matches(topic: string): boolean {
    return this.#compiled().matches(topic);
  }

  /** Whether both sets match some common topic. Many sets are compared with one as their argument. */
  overlaps(other: PatternSet): boolean {
    if (this.list.length * other.list.length <= COMPARED_MAX) {
      return this.list.some((mine) => other.list.some((theirs) => overlaps(mine, theirs)));
    }
    const matcher = other.#compiled();
    return this.list.some((mine) => matcher.overlaps(mine));
  }

  /** Forgets what was made to match topics. It is made again when it is needed. */
  forgetMatcher(): void {
    this.#matcher = undefined;
  }

  #compiled(): PatternMatcher {
    this.#matcher ??= new PatternMatcher(this.list);
    return this.#matcher;
  }
}

/** No pattern has an equals sign, so it is the key of no short set. */
function hash(text: string): string {
  return `=${createHash('sha256').update(text).digest('base64')}`;
}
