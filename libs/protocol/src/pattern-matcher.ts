import { overlaps } from './topics.ts';

/** Patterns in one word of a row. */
const WORD_BITS = 32;

/** With so few patterns, comparing each takes no longer and needs no tables. */
const COMPARED_MAX = 4;

/** Rows that there is room for at first. */
const ROWS_FIRST = 64;

/** What the patterns have at one place of a topic. The numbers are those of rows. */
interface Level {
  /** The patterns with this token or `*` here, by token. */
  readonly literals: Map<string, number>;
  /** The patterns with `*` here. */
  readonly any: number;
  /** The patterns with `>` here. */
  readonly rest: number;
  /** The patterns with anything here. */
  readonly reaching: number;
  /** The patterns whose last token is here and is not `>`. */
  readonly ending: number;
}

/**
 * Patterns compiled into an automaton. It walks a topic token by token and keeps the set of the patterns
 * that still match as bits, so that a token costs one look-up and one operation for each 32 patterns.
 *
 * 100 patterns of 16 tokens: a topic of 16 tokens takes 1 µs, and comparing it with each pattern 100 µs.
 * The tables take some 100 bytes for each token of a pattern, so keep a matcher only while it is used.
 */
export class PatternMatcher {
  readonly #compared: readonly string[] | undefined;
  readonly #levels: Level[] = [];
  /** Rows of `#words` words. Bit n of a row stands for pattern n. */
  #rows = new Int32Array(0);
  readonly #words: number;

  constructor(patterns: readonly string[]) {
    this.#words = Math.ceil(patterns.length / WORD_BITS);
    this.#compared = patterns.length <= COMPARED_MAX ? patterns : undefined;
    if (!this.#compared) this.#compile(patterns.map((pattern) => pattern.split('.')));
  }

  /** Whether one of the patterns matches a topic. */
  matches(topic: string): boolean {
    return this.overlaps(topic);
  }

  /** Whether some topic matches this pattern and one of the patterns. */
  overlaps(pattern: string): boolean {
    if (this.#compared) return this.#compared.some((one) => overlaps(one, pattern));
    return this.#walk(pattern.split('.'));
  }

  #walk(tokens: readonly string[]): boolean {
    const live = new Int32Array(this.#words).fill(-1);
    for (const [depth, token] of tokens.entries()) {
      const level = this.#levels[depth];
      if (!level) return false;
      if (token === '>') return this.#meets(live, level.reaching);
      if (this.#meets(live, level.rest)) return true;
      const row = token === '*' ? level.reaching : (level.literals.get(token) ?? level.any);
      if (!this.#keep(live, row)) return false;
    }
    const last = this.#levels[tokens.length - 1];
    return last !== undefined && this.#meets(live, last.ending);
  }

  /** Whether a set and a row have a pattern in common. */
  #meets(live: Int32Array, row: number): boolean {
    const start = row * this.#words;
    for (let word = 0; word < live.length; word++) {
      if (((live[word] ?? 0) & (this.#rows[start + word] ?? 0)) !== 0) return true;
    }
    return false;
  }

  /** Keeps what a row has in common with the set. @returns whether anything is left */
  #keep(live: Int32Array, row: number): boolean {
    const start = row * this.#words;
    let left = 0;
    for (let word = 0; word < live.length; word++) {
      const kept = (live[word] ?? 0) & (this.#rows[start + word] ?? 0);
      live[word] = kept;
      left |= kept;
    }
    return left !== 0;
  }

  #compile(patterns: readonly (readonly string[])[]): void {
    const rows = new RowBuilder(this.#words);
    const depth = Math.max(...patterns.map(({ length }) => length));
    for (let at = 0; at < depth; at++) this.#levels.push(compileLevel(patterns, at, rows));
    this.#rows = rows.finish();
  }
}

function compileLevel(
  patterns: readonly (readonly string[])[],
  at: number,
  rows: RowBuilder,
): Level {
  const level: Level = {
    literals: new Map(),
    any: rows.add(),
    rest: rows.add(),
    reaching: rows.add(),
    ending: rows.add(),
  };
  for (const [bit, pattern] of patterns.entries()) {
    const token = pattern[at];
    if (token === undefined) continue;
    rows.setBit(level.reaching, bit);
    if (token === '>') rows.setBit(level.rest, bit);
    else if (at === pattern.length - 1) rows.setBit(level.ending, bit);
    if (token === '*') rows.setBit(level.any, bit);
  }
  // The row of a token begins with the patterns that accept every token.
  for (const [bit, pattern] of patterns.entries()) {
    const token = pattern[at];
    if (token === undefined || token === '*' || token === '>') continue;
    const row = level.literals.get(token) ?? rows.add(level.any);
    level.literals.set(token, row);
    rows.setBit(row, bit);
  }
  return level;
}

/** Collects rows of bits while their number is not known. */
class RowBuilder {
  readonly #words: number;
  #rows: Int32Array<ArrayBuffer>;
  #length = 0;

  constructor(words: number) {
    this.#words = words;
    this.#rows = new Int32Array(ROWS_FIRST * words);
  }

  /** @param copied the row that the new one begins with; an empty one if absent */
  add(copied?: number): number {
    const words = this.#words;
    const start = this.#length;
    this.#length += words;
    if (this.#length > this.#rows.length) this.#grow();
    if (copied !== undefined) this.#rows.copyWithin(start, copied * words, (copied + 1) * words);
    return start / words;
  }

  setBit(row: number, bit: number): void {
    const index = row * this.#words + Math.floor(bit / WORD_BITS);
    this.#rows[index] = (this.#rows[index] ?? 0) | (1 << (bit % WORD_BITS));
  }

  finish(): Int32Array<ArrayBuffer> {
    return this.#rows.slice(0, this.#length);
  }

  #grow(): void {
    const grown = new Int32Array(2 * this.#rows.length);
    grown.set(this.#rows);
    this.#rows = grown;
  }
}
