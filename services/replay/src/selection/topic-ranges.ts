import assert from 'node:assert';
import { ATTRIBUTE_LENGTH_MAX, isLiteral, overlaps } from '@tidemark/protocol';

/** The names from `from` on and below `below`, in byte order. */
export interface NameRange {
  readonly from: string;
  readonly below: string;
}

/** Sorts behind every topic. */
const END = '\x7f';

/** Sorts behind whatever a type has behind a first character. */
const END_OF_TYPE = '\u{10ffff}'.repeat(ATTRIBUTE_LENGTH_MAX / 2);

/** The parts of the sorted list of topics that hold all matches: disjoint and in order. */
export function topicRanges(patterns: readonly string[]): NameRange[] {
  const ranges = patterns.map(topicRange).sort((left, right) => compare(left.from, right.from));
  // Two ranges are disjoint or one lies within the other, and the outer one sorts first.
  const outer: NameRange[] = [];
  for (const range of ranges) {
    const previous = outer.at(-1);
    if (!previous || range.from >= previous.below) outer.push(range);
    else if (range.below > previous.below) outer[outer.length - 1] = range;
  }
  return outer;
}

/** The narrower of the two, once, for each asked pattern and each grant that overlaps it. */
export function narrowed(asked: readonly string[], granted: readonly string[]): string[] {
  const narrow = new Set<string>();
  for (const pattern of asked) {
    for (const grant of granted) {
      if (!overlaps(pattern, grant)) continue;
      narrow.add(prefix(grant).length > prefix(pattern).length ? grant : pattern);
    }
  }
  return [...narrow];
}

/** The part of the sorted list of types that begin with a text, which is not empty. */
export function typeRange(prefix: string): NameRange {
  return { from: prefix, below: prefix + END_OF_TYPE };
}

function topicRange(pattern: string): NameRange {
  if (isLiteral(pattern)) return { from: pattern, below: `${pattern}\0` };
  const from = prefix(pattern);
  // The prefix ends with a dot, and a slash is the character after it.
  return { from, below: from === '' ? END : `${from.slice(0, -1)}/` };
}

function prefix(pattern: string): string {
  if (isLiteral(pattern)) return pattern;
  const match = /^(?:[^.*>]+\.)*/.exec(pattern);
  assert(match, 'The expression matches the empty text.');
  return match[0];
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
