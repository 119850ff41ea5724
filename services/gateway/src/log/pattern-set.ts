import { isLiteral, matches, overlaps } from '@tidemark/protocol';

/** Answers remembered for wildcards, so that a scan over few topics splits each of them once. */
const REMEMBERED_MAX = 2000;

const NONE: readonly string[] = [];

/**
 * The patterns of a subscription, or of several together. Equal sets have equal keys.
 *
 * Most sets are one topic of one connection, which has to be small: they need neither table.
 */
export class PatternSet {
  readonly patterns: readonly string[];
  readonly key: string;
  readonly #literals: ReadonlySet<string> | undefined;
  readonly #wildcards: readonly string[];
  #remembered: Map<string, boolean> | undefined;

  constructor(patterns: Iterable<string>) {
    this.patterns = [...new Set(patterns)].sort();
    this.key = this.patterns.join(',');
    const literals = this.patterns.filter(isLiteral);
    if (literals.length > 1) this.#literals = new Set(literals);
    const hasWildcards = literals.length < this.patterns.length;
    this.#wildcards = hasWildcards ? this.patterns.filter((one) => !isLiteral(one)) : NONE;
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    return new PatternSet(all.flatMap(({ patterns }) => patterns));
  }

  matches(topic: string): boolean {
    if (this.#literals ? this.#literals.has(topic) : this.patterns.includes(topic)) return true;
    if (this.#wildcards.length === 0) return false;
    this.#remembered ??= new Map();
    let answer = this.#remembered.get(topic);
    if (answer === undefined) {
      answer = this.#wildcards.some((pattern) => matches(pattern, topic));
      if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
      this.#remembered.set(topic, answer);
    }
    return answer;
  }

  /** Whether some topic is matched by both. */
  overlaps(other: PatternSet): boolean {
    return this.patterns.some((mine) => other.patterns.some((theirs) => overlaps(mine, theirs)));
  }
}
