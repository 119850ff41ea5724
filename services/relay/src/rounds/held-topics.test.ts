import { expect, test } from 'vitest';
import { HELD_TOPICS_MAX, HeldTopics } from './held-topics.ts';

test('held topic: waits, is tried again, waits longer, and is free when a row went through', () => {
  let nowMs = 0;
  const held = new HeldTopics(400, () => nowMs);
  held.hold('a');
  expect(held.list()).toEqual(['a']);
  expect(held.soonestMs()).toBeGreaterThanOrEqual(50);
  expect(held.soonestMs()).toBeLessThanOrEqual(100);
  nowMs = 100;
  expect(held.has('a')).toBe(false);
  for (let times = 0; times < 5; times++) held.hold('a');
  expect(held.soonestMs()).toBeGreaterThanOrEqual(200);
  expect(held.soonestMs()).toBeLessThanOrEqual(400);
  held.release('a');
  expect(held.size).toBe(0);
  expect(held.soonestMs()).toBe(Number.POSITIVE_INFINITY);
});

test('held topics: beyond the limit: are refused, until others are forgotten', () => {
  let nowMs = 0;
  const held = new HeldTopics(100, () => nowMs);
  for (let n = 0; n < HELD_TOPICS_MAX; n++) expect(held.hold(`topic.${n}`)).toBe(true);
  expect(held.hold('one.more')).toBe(false);
  expect(held.hold('topic.7')).toBe(true);
  nowMs = 120_000;
  expect(held.hold('one.more')).toBe(true);
  expect(held.size).toBe(1);
});
