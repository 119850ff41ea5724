import { describe, expect, test } from 'vitest';
import { twoProcesses } from '../../../../test/support/other-processes.ts';
import { costlyWildcards, PatternBudget, patternBytes, typeBytes } from './pattern-budget.ts';

const LIMITS = {
  patternBytesPerUserMax: 100_000,
  patternBytesMax: 400_000,
  wildcardsPerUserMax: 100,
  wildcardsMax: 400,
};

const STARS = '*.*.*.*';

function exceeded(limit: string) {
  return expect.objectContaining({ code: 'limit_exceeded', limit });
}

/** Charges one pattern after another until it is refused. @returns what gives them back */
function fill(budget: PatternBudget, user: string, pattern: string, limit: string): (() => void)[] {
  const charged: (() => void)[] = [];
  const charge = () => {
    for (let count = 0; count < 10_000; count++) charged.push(budget.charge(user, [pattern]));
  };
  expect(charge).toThrow(exceeded(limit));
  return charged;
}

describe('pattern budget', () => {
  test('cost: by tokens and length; wildcards count in patterns with more than three', () => {
    expect(patternBytes('a.b')).toBeLessThan(patternBytes('a.b.c'));
    expect(patternBytes('a.b')).toBeLessThan(patternBytes('a.bbbbbb'));
    expect(['a.>', '*.*.*.>', 'a.*.*.*.*.>', STARS].map(costlyWildcards)).toEqual([0, 0, 4, 4]);
  });

  test('types: their bytes count with those of the patterns, and are given back', () => {
    const budget = new PatternBudget(LIMITS);
    const types = ['order.*', 'x'.repeat(1000)];
    const release = budget.charge('alice', ['a.b'], types);
    const bytes = patternBytes('a.b') + typeBytes('order.*') + typeBytes('x'.repeat(1000));
    expect(budget.held.pattern_bytes).toBe(bytes);
    const many = Array.from({ length: 100 }, () => 'x'.repeat(1000));
    expect(() => budget.charge('alice', ['a.b'], many)).toThrow(exceeded('pattern_bytes_per_user'));
    release();
    expect(budget.held.pattern_bytes).toBe(0);
  });

  test('a user at the limit: refused until something is given back, which counts once', () => {
    const budget = new PatternBudget(LIMITS);
    const held = fill(budget, 'mallory', 'a.b.c', 'pattern_bytes_per_user');
    expect(budget.held.pattern_bytes).toBe(held.length * patternBytes('a.b.c'));
    budget.charge('alice', ['a.b.c']);
    held[0]?.();
    held[0]?.();
    budget.charge('mallory', ['a.b.c']);
    expect(() => budget.charge('mallory', ['a.b.c'])).toThrow(exceeded('pattern_bytes_per_user'));
    for (const release of held) release();
    expect(budget.held.pattern_bytes).toBe(2 * patternBytes('a.b.c'));
  });

  test('many users at their limits: who holds little has a reserve', () => {
    const budget = new PatternBudget(LIMITS);
    for (const user of ['a', 'b', 'c']) fill(budget, user, 'a.b.c', 'pattern_bytes_per_user');
    fill(budget, 'd', 'a.b.c', 'pattern_bytes');
    for (let user = 0; user < 50; user++) budget.charge(`modest ${user}`, ['inbox.7', 'news.>']);
    for (const user of ['a', 'b', 'c']) fill(budget, user, STARS, 'pattern_bytes_per_user');
  });

  test('wildcards: limited for a user and for all; a refusal holds nothing', () => {
    const budget = new PatternBudget({
      ...LIMITS,
      patternBytesPerUserMax: 1e9,
      patternBytesMax: 1e9,
    });
    for (const user of ['a', 'b', 'c']) fill(budget, user, STARS, 'wildcards_per_user');
    expect(budget.held).toEqual({ wildcards: 300, pattern_bytes: 75 * patternBytes(STARS) });
    expect(() => budget.charge('d', [STARS, STARS])).toThrow(exceeded('wildcards'));
    budget.charge('d', [STARS]);
    budget.charge('d', ['*.*.*']);
    expect(budget.held.pattern_bytes).toBe(76 * patternBytes(STARS) + patternBytes('*.*.*'));
  });
});

test('pattern budget of two processes: what a user and all hold in both counts', () => {
  const [one, two] = twoProcesses().map((others) => new PatternBudget(LIMITS, others)) as [
    PatternBudget,
    PatternBudget,
  ];
  const held = fill(one, 'alice', STARS, 'wildcards_per_user');
  expect(() => two.charge('alice', [STARS])).toThrow(exceeded('wildcards_per_user'));
  for (const giveBack of held) giveBack();
  expect(fill(two, 'alice', STARS, 'wildcards_per_user')).toHaveLength(held.length);
  fill(one, 'bob', STARS, 'wildcards_per_user');
  fill(two, 'carol', STARS, 'wildcards_per_user');
  // The last quarter is for users with few.
  expect(() => fill(one, 'dora', STARS, 'wildcards')).not.toThrow();
  expect(() => two.charge('dora', [STARS])).toThrow(exceeded('wildcards'));
});
