import { isLiteral, overlaps } from '@tidemark/protocol';

/** Names from `from` on and below `below`, in byte order. */
export interface NameRange {
  readonly from: string;
  readonly below: string;
}

/** Sorts behind every topic. */
const END = '\x7f';

/** Where in the sorted list of topics those of the patterns stand: disjoint, in order. */
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

/** For each asked pattern and each grant that meets it, the narrower of the two. */
export function narrowed(asked: readonly string[], granted: readonly string[]): string[] {
  return asked.flatMap((pattern) =>
    granted
      .filter((grant) => overlaps(pattern, grant))
      .map((grant) => (prefix(grant).length > prefix(pattern).length ? grant : pattern)),
  );
}

function topicRange(pattern: string): NameRange {
  if (isLiteral(pattern)) return { from: pattern, below: `${pattern}\0` };
  const from = prefix(pattern);
  // The prefix ends with a dot, and a slash is the character after it.
  return { from, below: from === '' ? END : `${from.slice(0, -1)}/` };
}

function prefix(pattern: string): string {
  if (isLiteral(pattern)) return pattern;
  return /^(?:[^.*>]+\.)*/.exec(pattern)?.[0] ?? '';
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
