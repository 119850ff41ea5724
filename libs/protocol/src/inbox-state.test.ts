import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compactMark,
  type InboxMark,
  isMarked,
  markOne,
  markUpTo,
  NO_MARK,
} from './inbox-marks.ts';
import { changeInbox, EMPTY_INBOX, type InboxChange, itemState } from './inbox-state.ts';
import { inboxTopic } from './inbox-topics.ts';
import { isInboxTopic } from './reserved-topics.ts';

const SEQUENCES = 40;
const moment = { end: SEQUENCES, nowMs: 1000 };

type Step = { readonly upTo: number } | { readonly one: number; readonly flag: boolean };

const steps = fc.array(
  fc.oneof(
    fc.record({ upTo: fc.integer({ min: 1, max: SEQUENCES }) }),
    fc.record({ one: fc.integer({ min: 1, max: SEQUENCES }), flag: fc.boolean() }),
  ),
);

function perform(mark: InboxMark, step: Step): InboxMark {
  return 'upTo' in step ? markUpTo(mark, step.upTo) : markOne(mark, step.one, step.flag);
}

/** The sequences with the flag, as a plain set has them. */
function flagged(all: readonly Step[]): Set<number> {
  const set = new Set<number>();
  for (const step of all) {
    if ('upTo' in step) for (let one = 1; one <= step.upTo; one++) set.add(one);
    else if (step.flag) set.add(step.one);
    else set.delete(step.one);
  }
  return set;
}

test('marks: any steps: the same items as in a plain set', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const mark = all.reduce(perform, NO_MARK);
      const set = flagged(all);
      for (let one = 1; one <= SEQUENCES; one++) expect(isMarked(mark, one)).toBe(set.has(one));
      expect([...mark.except]).toEqual([...new Set(mark.except)].sort((a, b) => a - b));
    }),
  );
});

test('marks: compacted: each item keeps its flag, and the exceptions are no more than before', () => {
  fc.assert(
    fc.property(
      steps,
      fc.uniqueArray(fc.integer({ min: 1, max: SEQUENCES }), { minLength: 1 }),
      fc.integer({ min: 1, max: SEQUENCES }),
      (all, unsorted, through) => {
        const items = unsorted.sort((a, b) => a - b);
        const mark = all.reduce(perform, NO_MARK);
        const looked = items.filter((one) => one > mark.upTo && one <= through);
        const compact = compactMark(mark, looked, through);
        for (const one of items) expect(isMarked(compact, one)).toBe(isMarked(mark, one));
        expect(compact.except.length).toBeLessThanOrEqual(mark.except.length);
        expect(compact.upTo).toBeGreaterThanOrEqual(mark.upTo);
      },
    ),
  );
});

test('marks: compacted after each item was read by itself: one position', () => {
  const items = Array.from({ length: 30 }, (_, index) => 3 * index + 1);
  const mark = items.reduce((one, item) => markOne(one, item, true), NO_MARK);
  expect(compactMark(mark, items, 100)).toEqual({ upTo: 88, except: [] });
});

const change = (...changes: InboxChange[]) =>
  changes.reduce((state, one) => changeInbox(state, one, moment), EMPTY_INBOX);

test.each<InboxChange>([
  { kind: 'follow', pattern: 'a.>' },
  { kind: 'follow', pattern: 'a.>', types: ['x', 'y*'] },
  { kind: 'mute', pattern: 'a.1' },
  { kind: 'read', upTo: 7 },
  { kind: 'archived', sequences: [3, 5] },
  { kind: 'snoozed', sequences: [3], untilMs: 2000 },
])('changes: the same again, %j: the same state', (one) => {
  const state = change(one);
  expect(state).not.toEqual(EMPTY_INBOX);
  expect(changeInbox(state, one, { ...moment, end: 99 })).toBe(state);
});

test('changes: types in another order, or twice: the same follow', () => {
  const state = change({ kind: 'follow', pattern: 'a', types: ['x', 'y*', 'yes'] });
  const again = { kind: 'follow', pattern: 'a', types: ['y*', 'x', 'x'] } as const;
  expect(changeInbox(state, again, moment)).toBe(state);
});

test('changes: unfollow without types: all follows of the pattern end; with types: that one', () => {
  const follows = [
    { kind: 'follow', pattern: 'a', types: ['x'] },
    { kind: 'follow', pattern: 'a' },
    { kind: 'follow', pattern: 'b' },
  ] as const;
  const patterns = (...more: InboxChange[]) =>
    change(...follows, ...more).follows.map(({ pattern, types = [] }) => [pattern, ...types]);
  expect(patterns()).toEqual([['a', 'x'], ['a'], ['b']]);
  expect(patterns({ kind: 'unfollow', pattern: 'a', types: ['x'] })).toEqual([['a'], ['b']]);
  expect(patterns({ kind: 'unfollow', pattern: 'a' })).toEqual([['b']]);
});

test('changes: what is read counts as seen; unread does not unsee', () => {
  const state = change({ kind: 'read', sequences: [4] }, { kind: 'seen', upTo: 2 });
  expect(itemState(state, 4, 0)).toEqual({ seen: true, read: true, archived: false });
  expect(itemState(state, 2, 0)).toEqual({ seen: true, read: false, archived: false });
  const unread = changeInbox(state, { kind: 'unread', sequences: [4] }, moment);
  expect(itemState(unread, 4, 0)).toEqual({ seen: false, read: false, archived: false });
});

test('changes: a snooze ends by itself, and by a time that has passed', () => {
  const state = change({ kind: 'snoozed', sequences: [4], untilMs: 2000 });
  expect(itemState(state, 4, 1999).snoozedUntilMs).toBe(2000);
  expect(itemState(state, 4, 2000).snoozedUntilMs).toBeUndefined();
  const ended = changeInbox(state, { kind: 'snoozed', sequences: [4], untilMs: 1 }, moment);
  expect(ended.snoozed).toEqual([]);
});

test('topics: an inbox has one token, whatever the user is called', () => {
  expect(inboxTopic('auth0|x.y')).toBe('inbox.auth0_-7c-_x_-2e-_y');
  expect(inboxTopic('')).toBeUndefined();
  expect(inboxTopic('x'.repeat(250))).toBeUndefined();
  expect(isInboxTopic('inbox.alice')).toBe(true);
  for (const topic of ['inbox', 'inbox.alice.more', 'user.inbox', 'inboxes.a']) {
    expect(isInboxTopic(topic)).toBe(false);
  }
});
