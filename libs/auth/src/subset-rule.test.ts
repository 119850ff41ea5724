import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTIONS, type Grant, type Principal, parseScope, permits } from './permissions.ts';

/*
 * The model knows nothing of how patterns are compared: it lists every topic up to a depth and asks
 * which of them a pattern matches. Patterns are shorter than that depth, and tell at most two tokens
 * apart, of which the topics have one more: so whatever escapes a grant escapes it within the list.
 */

const PATTERN_TOKENS_MAX = 3;
const TOPIC_TOKENS_MAX = PATTERN_TOKENS_MAX + 1;
const RUNS = 3000;

const topics = allTopics(['a', 'b', 'other'], TOPIC_TOKENS_MAX);

function allTopics(tokens: readonly string[], depth: number): string[][] {
  if (depth === 0) return [];
  const shorter = allTopics(tokens, depth - 1);
  const longest = [[], ...shorter].filter(({ length }) => length === depth - 1);
  return [...shorter, ...longest.flatMap((topic) => tokens.map((token) => [...topic, token]))];
}

/** By the definition in PROTOCOL.md section 2, token by token from the left. */
function modelMatches([token, ...rest]: readonly string[], topic: readonly string[]): boolean {
  if (token === undefined) return topic.length === 0;
  if (topic.length === 0) return false;
  if (token === '>') return true;
  return (token === '*' || token === topic[0]) && modelMatches(rest, topic.slice(1));
}

function modelPermits(grants: readonly Grant[], { action, pattern }: Grant): boolean {
  const asked = topics.filter((topic) => modelMatches(pattern.split('.'), topic));
  return grants.some(
    (grant) =>
      grant.action === action &&
      asked.every((topic) => modelMatches(grant.pattern.split('.'), topic)),
  );
}

const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: PATTERN_TOKENS_MAX }),
    fc.boolean(),
  )
  .map(([tokens, open]) => (open ? [...tokens.slice(0, -1), '>'] : tokens).join('.'));

const grant = fc.record({ action: fc.constantFrom(...ACTIONS), pattern });
const grants = fc.array(grant, { maxLength: 4 });

function bearerOf(held: readonly Grant[]): Principal {
  const scope = held.map(({ action, pattern }) => `${action}:${pattern}`).join(' ');
  return { subject: 'alice', expiresAtMs: 0, ...parseScope(scope) };
}

describe('subset rule', () => {
  test('model: topics up to its depth: are all there', () => {
    expect(topics).toHaveLength(3 + 9 + 27 + 81);
  });

  test.each(ACTIONS)('%s: any grants, any asked pattern: as the model says', (action) => {
    const answers = new Set<boolean>();
    fc.assert(
      fc.property(grants, pattern, (held, asked) => {
        const expected = modelPermits(held, { action, pattern: asked });
        answers.add(expected);
        expect(permits(bearerOf(held), action, asked)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
    expect(answers.size, 'both answers must have come up').toBe(2);
  });

  test.each(ACTIONS)('%s: grants of the other actions: permit nothing', (action) => {
    const others = grants.map((held) => held.filter((one) => one.action !== action));
    fc.assert(
      fc.property(others, pattern, (held, asked) => {
        expect(permits(bearerOf(held), action, asked)).toBe(false);
      }),
    );
  });

  test('covering is transitive: what a permitted pattern covers is permitted', () => {
    fc.assert(
      fc.property(pattern, pattern, pattern, (first, second, third) => {
        const of = (held: string) => bearerOf([{ action: 'history', pattern: held }]);
        fc.pre(permits(of(first), 'history', second) && permits(of(second), 'history', third));
        expect(permits(of(first), 'history', third)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});
