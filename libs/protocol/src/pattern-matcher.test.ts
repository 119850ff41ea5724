import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PatternMatcher } from './pattern-matcher.ts';
import { matches, overlaps } from './topics.ts';

const token = fc.constantFrom('a', 'b', 'cc');
const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => (open ? [...tokens.slice(0, -1), '>'] : tokens).join('.'));
/** Up to more patterns than one word of a row has bits. */
const patterns = fc.array(pattern, { maxLength: 80 });

describe('pattern matcher', () => {
  test('match: any patterns, any topic: as one of the patterns says', () => {
    fc.assert(
      fc.property(patterns, fc.array(topic), (given, topics) => {
        const matcher = new PatternMatcher(given);
        for (const name of topics) {
          expect(matcher.matches(name), name).toBe(given.some((one) => matches(one, name)));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('overlap: any patterns, any other: as one of the patterns says', () => {
    fc.assert(
      fc.property(patterns, pattern, (given, other) => {
        const expected = given.some((one) => overlaps(one, other));
        expect(new PatternMatcher(given).overlaps(other)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test('cost: 100 patterns of 16 tokens that differ late: little more than of one', () => {
    const head = Array.from({ length: 13 }, () => 'a').join('.');
    const many = Array.from({ length: 100 }, (_, index) => `${head}.*.x${index}.z`);
    const topics = Array.from({ length: 5000 }, (_, index) => `${head}.b.y${index}.z`);
    const matcher = new PatternMatcher(many);
    const start = process.cpuUsage();
    expect(topics.some((name) => matcher.matches(name))).toBe(false);
    // 10 ms of the processor; comparing each pattern took 500 ms.
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(150);
  });
});
