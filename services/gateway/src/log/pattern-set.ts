import { isLiteral, matches, overlaps } from '@tidemark/protocol';

/** Answers remembered for wildcards, so that a scan over few topics splits each of them once. */
const REMEMBERED_MAX = 2000;

/** The patterns of a subscription, or of several together. Equal sets have equal keys. */
export class PatternSet {
  readonly patterns: readonly string[];
  readonly key: string;
  readonly #literals: ReadonlySet<string>;
  readonly #wildcards: readonly string[];
  readonly #remembered = new Map<string, boolean>();

  constructor(patterns: Iterable<string>) {
    this.patterns = [...new Set(patterns)].sort();
    this.key = this.patterns.join(',');
    this.#literals = new Set(this.patterns.filter(isLiteral));
    this.#wildcards = this.patterns.filter((pattern) => !isLiteral(pattern));
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    return new PatternSet(all.flatMap(({ patterns }) => patterns));
  }

  matches(topic: string): boolean {
    if (this.#literals.has(topic)) return true;
    if (this.#wildcards.length === 0) return false;
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
