import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  covers,
  fromSubject,
  isLiteral,
  isPattern,
  isTopic,
  matches,
  overlaps,
  PATTERNS_MAX,
  parsePatternList,
  parsePatterns,
  parseTopic,
  TOPIC_BYTES_MAX,
  TOPIC_TOKENS_MAX,
  toSubject,
} from './topics.ts';

// Two tokens and five levels tell every two patterns of up to four levels apart.
const TOPICS = sequences(['a', 'b'], 5);
const PATTERNS = [
  ...sequences(['a', 'b', '*'], 3),
  '>',
  ...sequences(['a', 'b', '*'], 3).map((head) => `${head}.>`),
];

/** All sequences of one token up to so many, joined by dots. */
function sequences(tokens: readonly string[], lengthMax: number): string[] {
  const all: string[] = [];
  let last = [''];
  for (let length = 1; length <= lengthMax; length++) {
    last = last.flatMap((head) => tokens.map((token) => (head ? `${head}.${token}` : token)));
    all.push(...last);
  }
  return all;
}

/** What a pattern means, by the other way: a regular expression. */
function naiveMatches(pattern: string, topic: string): boolean {
  const tokens = pattern.split('.').map((token) => {
    if (token === '>') return '[^.]+(\\.[^.]+)*';
    return token === '*' ? '[^.]+' : token;
  });
  return new RegExp(`^${tokens.join('\\.')}$`).test(topic);
}

const MATCHED = new Map(
  PATTERNS.map((pattern) => {
    return [pattern, new Set(TOPICS.filter((topic) => naiveMatches(pattern, topic)))];
  }),
);

function matched(pattern: string): ReadonlySet<string> {
  return MATCHED.get(pattern) ?? new Set();
}

function naiveIsTopic(text: string): boolean {
  const tokens = text.split('.');
  const right = (token: string): boolean => {
    return token !== '' && [...token].every((character) => /[A-Za-z0-9_-]/.test(character));
  };
  return tokens.length <= 16 && text.length <= 200 && tokens.every(right);
}

function naiveIsPattern(text: string): boolean {
  const tokens = text.split('.');
  const plain = tokens.map((token, index) => {
    return token === '*' || (token === '>' && index === tokens.length - 1) ? 'x' : token;
  });
  return text.length <= 200 && naiveIsTopic(plain.join('.'));
}

const text = fc.string({
  unit: fc.constantFrom('a', 'Z', '9', '_', '-', '.', '.', '*', '>', ' ', 'é', '\n'),
  maxLength: 12,
});

describe('topics', () => {
  test('grammar: any text: topics and patterns are as section 2 says', () => {
    fc.assert(
      fc.property(text, (candidate) => {
        expect(isTopic(candidate)).toBe(naiveIsTopic(candidate));
        expect(isPattern(candidate)).toBe(naiveIsPattern(candidate));
      }),
      { numRuns: 3000 },
    );
  });

  test('grammar: tokens and bytes at the limit and above it: the limit holds', () => {
    const tokens = (count: number): string => Array.from({ length: count }, () => 'a').join('.');
    expect(isTopic(tokens(TOPIC_TOKENS_MAX))).toBe(true);
    expect(isTopic(tokens(TOPIC_TOKENS_MAX + 1))).toBe(false);
    expect(isTopic('a'.repeat(TOPIC_BYTES_MAX))).toBe(true);
    expect(isTopic('a'.repeat(TOPIC_BYTES_MAX + 1))).toBe(false);
    expect(() => parseTopic('a..b')).toThrow(expect.objectContaining({ code: 'invalid_topic' }));
  });

  test('patterns: none, one too many, a wrong one: refused', () => {
    const invalid = expect.objectContaining({ code: 'invalid_pattern' });
    const many = Array.from({ length: PATTERNS_MAX + 1 }, (_, index) => `t${index}`);
    expect(() => parsePatterns([])).toThrow(invalid);
    expect(() => parsePatterns(many)).toThrow(invalid);
    expect(() => parsePatternList('a,,b')).toThrow(invalid);
    expect(parsePatterns(many.slice(1))).toHaveLength(PATTERNS_MAX);
    expect(parsePatternList('orders.*, user.7,orders.*')).toEqual(['orders.*', 'user.7']);
  });

  test('subjects: every topic: there and back', () => {
    for (const topic of TOPICS) expect(fromSubject(toSubject(topic))).toBe(topic);
    expect(fromSubject('tidemark.events')).toBeUndefined();
    expect(fromSubject('tidemark.events.a*')).toBeUndefined();
    expect(fromSubject('other.a')).toBeUndefined();
  });
});

describe('patterns', () => {
  test('match: every pattern and topic of five levels: as a regular expression says', () => {
    for (const pattern of PATTERNS) {
      const found = TOPICS.filter((topic) => matches(pattern, topic));
      expect(new Set(found), pattern).toEqual(matched(pattern));
      expect(isLiteral(pattern), pattern).toBe(!/[*>]/.test(pattern));
    }
  });

  test('cover: every two patterns: one matches every topic that the other matches', () => {
    for (const granted of PATTERNS) {
      for (const asked of PATTERNS) {
        const subset = [...matched(asked)].every((topic) => matched(granted).has(topic));
        expect(covers(granted, asked), `${granted} covers ${asked}`).toBe(subset);
      }
    }
  });

  test('overlap: every two patterns: some topic is matched by both', () => {
    for (const left of PATTERNS) {
      for (const right of PATTERNS) {
        const meet = [...matched(left)].some((topic) => matched(right).has(topic));
        expect(overlaps(left, right), `${left} overlaps ${right}`).toBe(meet);
      }
    }
  });
});
