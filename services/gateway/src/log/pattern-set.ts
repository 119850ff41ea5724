import { isLiteral, matches, overlaps } from '@tidemark/protocol';

/** Cached matches of wildcards. With them a scan over few topics splits each topic only once. */
const CACHED_MATCHES_MAX = 2000;

const NONE: readonly string[] = [];

/**
 * The patterns of one or of several subscriptions. Equal sets have equal keys.
 *
 * Most sets have one topic of one connection. They must be small, so they allocate no table.
 */
export class PatternSet {
  /** Sorted, without duplicates. */
  readonly list: readonly string[];
  readonly key: string;
  readonly #literals: ReadonlySet<string> | undefined;
  readonly #wildcards: readonly string[];
  #cachedMatches: Map<string, boolean> | undefined;

  constructor(patterns: Iterable<string>) {
    this.list = [...new Set(patterns)].sort();
    this.key = this.list.join(',');
    const literals = this.list.filter(isLiteral);
    if (literals.length > 1) this.#literals = new Set(literals);
    const hasWildcards = literals.length < this.list.length;
    this.#wildcards = hasWildcards ? this.list.filter((one) => !isLiteral(one)) : NONE;
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    return new PatternSet(all.flatMap(({ list }) => list));
  }

  matches(topic: string): boolean {
    if (this.#literals ? this.#literals.has(topic) : this.list.includes(topic)) return true;
    if (this.#wildcards.length === 0) return false;
    this.#cachedMatches ??= new Map();
    let answer = this.#cachedMatches.get(topic);
    if (answer === undefined) {
      answer = this.#wildcards.some((pattern) => matches(pattern, topic));
      if (this.#cachedMatches.size >= CACHED_MATCHES_MAX) this.#cachedMatches.clear();
      this.#cachedMatches.set(topic, answer);
    }
    return answer;
  }

  /** Whether both sets match some common topic. */
  overlaps(other: PatternSet): boolean {
    return this.list.some((mine) => other.list.some((theirs) => overlaps(mine, theirs)));
  }
}
