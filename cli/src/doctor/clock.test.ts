import { expect, test } from 'vitest';
import { judgeClock } from './clock.ts';

const NOW = 1_000_000;

function judge(theirMs: number, resolutionMs = 0) {
  return judgeClock({ check: 'x', theirMs, askedMs: NOW, answeredMs: NOW + 100, resolutionMs });
}

test.each([
  ['within the request', NOW + 50, 0, 'ok'],
  ['a second behind, with whole seconds', NOW - 1000, 1000, 'ok'],
  ['three seconds ahead', NOW + 3100, 0, 'note'],
  ['ten seconds ahead', NOW + 10_100, 0, 'fault'],
  ['ten seconds behind', NOW - 10_000, 0, 'fault'],
])('a clock %s: %s', (_what, theirMs, resolutionMs, level) => {
  expect(judge(theirMs, resolutionMs).level).toBe(level);
});

test('a clock that differs: is told with how much, and in which direction', () => {
  expect(judge(NOW + 10_100).text).toContain('10.0 s ahead of');
  expect(judge(NOW - 10_000).text).toContain('10.0 s behind');
});
