import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toNoticeEvent } from './erasure-notices.ts';
import type { CloudEvent } from './events.ts';
import { INBOX_COUNT_MAX, InboxCounter, unreadCandidates } from './inbox-counts.ts';
import { type CountsData, decodeInbox, encodeInbox, type InboxData } from './inbox-data.ts';
import { InboxFilter } from './inbox-filter.ts';
import {
  beginLiveInbox,
  followInbox,
  type LiveInbox,
  liveCounts,
  RECOUNT_WITHIN_MS,
  renewLiveInbox,
} from './inbox-live.ts';
import { markOne, markUpTo } from './inbox-marks.ts';
import { changeInbox, EMPTY_INBOX, type InboxChange, type InboxState } from './inbox-state.ts';

/*
 * A small log with all that a server does for one inbox, counted by a plain loop. Clients receive its events with
 * repeats, late and out of order between subscriptions.
 */

const TOPICS = ['user.me.a', 'user.me.b', 'news.x', 'news.y', 'other.z'];
const PATTERNS = ['news.>', 'news.x', 'other.*', 'user.me.a'];
const TYPES = ['one', 'two'];
const OWN = ['user.me.>'];
const NOW = 1_000_000;

const toCursor = (sequence: number) => `log-${sequence}`;
const toSequence = (cursor: string) => ({ sequence: Number(cursor.slice(4)), lost: false });

interface Logged {
  readonly cursor: string;
  readonly event: CloudEvent;
}

const pattern = fc.record({
  pattern: fc.constantFrom(...PATTERNS),
  types: fc.option(fc.subarray(TYPES, { minLength: 1 }), { nil: undefined }),
});
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ topic: fc.constantFrom(...TOPICS), type: fc.constantFrom(...TYPES) }),
  },
  fc.record({ kind: fc.constantFrom('follow', 'unfollow', 'mute', 'unmute'), of: pattern }),
  fc.record({ kind: fc.constantFrom('seen', 'read', 'archived'), back: fc.nat(20) }),
  fc.record({
    kind: fc.constantFrom('seen', 'read', 'unread', 'archived', 'unarchived', 'snoozed'),
    items: fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }),
  }),
);

class Log {
  readonly events: Logged[] = [];
  state: InboxState = EMPTY_INBOX;

  get end(): number {
    return this.events.length;
  }

  item(topic: string, type: string): void {
    this.#add({ topic, type, data: {} });
  }

  change(change: InboxChange): void {
    const next = changeInbox(this.state, change, { end: this.end, nowMs: NOW });
    if (next === this.state) return;
    this.state = next;
    const counts = this.counts(NOW);
    const data: InboxData = { topics: OWN, ...encodeInbox(next, toCursor), counts, change: {} };
    this.#add({ topic: 'inbox.me', type: 'changed', data, publisher: 'me' });
  }

  /** Counts without any of the code above: each event of the log is looked at. */
  counts(nowMs: number): CountsData {
    const { follows, mutes, seen, read, archived, snoozed } = this.state;
    const covers = (one: string, topic: string) => {
      const [a = '', b = ''] = one.split('.');
      return one.startsWith('user')
        ? topic === one
        : topic.startsWith(`${a}.`) && (b === topic.split('.')[1] || b === '>' || b === '*');
    };
    const has = (mark: typeof seen, sequence: number) =>
      mark.except.includes(sequence) ? sequence > mark.upTo : sequence <= mark.upTo;
    let [unseen, unread] = [0, 0];
    for (const [index, { event }] of this.events.entries()) {
      const sequence = index + 1;
      const { topic, type } = event;
      const wants = (types: readonly string[] | undefined) => !types || types.includes(type);
      const followed = follows.some(
        (one) => sequence > one.since && covers(one.pattern, topic) && wants(one.types),
      );
      if (!topic.startsWith('user.me.') && !followed) continue;
      if (mutes.some((one) => covers(one.pattern, topic) && wants(one.types))) continue;
      if (has(read, sequence) || has(archived, sequence)) continue;
      if (snoozed.some((one) => one.sequence === sequence && one.untilMs > nowMs)) continue;
      unread++;
      if (!has(seen, sequence)) unseen++;
    }
    const untils = snoozed.map(({ untilMs }) => untilMs).filter((untilMs) => untilMs > nowMs);
    const until = untils.length > 0 && { until: new Date(Math.min(...untils)).toISOString() };
    return { unseen, unread, more: false, cursor: toCursor(this.end), ...until };
  }

  #add(event: Pick<CloudEvent, 'topic' | 'type'> & Partial<CloudEvent>): void {
    const id = String(this.end + 1);
    const whole = { specversion: '1.0', source: '/x', id, ...event } as CloudEvent;
    this.events.push({ cursor: toCursor(this.end + 1), event: whole });
  }
}

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

function perform(log: Log, one: Action): void {
  if ('topic' in one) log.item(one.topic, one.type);
  else if ('of' in one) {
    const { pattern, types } = one.of;
    log.change({ kind: one.kind, pattern, ...(types && { types }) } as InboxChange);
  } else if ('back' in one) {
    log.change({ kind: one.kind, upTo: Math.max(0, log.end - one.back) } as InboxChange);
  } else {
    const sequences = one.items.map((index) => Math.max(1, log.end - index));
    log.change({ kind: one.kind, sequences, untilMs: NOW + 1000 } as InboxChange);
  }
}

function optimised(log: Log, nowMs: number) {
  const { state } = log;
  const filter = new InboxFilter({ topics: OWN, follows: state.follows, mutes: state.mutes });
  const counter = new InboxCounter(state, nowMs);
  const { after, others } = unreadCandidates(state);
  const rest = Array.from({ length: Math.max(0, log.end - after) }, (_, index) => log.end - index);
  for (const sequence of [...rest, ...others]) {
    const event = log.events[sequence - 1]?.event;
    if (event && filter.accepts({ ...event, sequence })) counter.add({ sequence });
  }
  return counter.counts;
}

test('counts: any actions: what lies behind the marks is enough to look at', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const log = new Log();
      for (const one of actions) {
        perform(log, one);
        expect(log.counts(NOW)).toMatchObject(optimised(log, NOW));
      }
    }),
    { numRuns: 300 },
  );
});

test('live counts: repeats, late events and changes: those of a recount at each step', () => {
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 60 }),
      fc.array(fc.nat(5), { minLength: 60, maxLength: 60 }),
      fc.nat(20),
      (actions, repeats, start) => {
        const log = new Log();
        let live: LiveInbox | undefined;
        let received = 0;
        for (const [index, one] of actions.entries()) {
          perform(log, one);
          if (index < start) continue;
          if (!live) {
            live = beginLiveInbox(
              { topics: OWN, ...encodeInbox(log.state, toCursor) },
              log.counts(NOW),
            );
            received = log.end;
          }
          const from = Math.max(0, received - (repeats[index] ?? 0));
          for (const event of log.events.slice(from)) live = followInbox(live, event);
          received = log.end;
          const { unseen, unread, more } = log.counts(NOW);
          expect(liveCounts(live, NOW)).toEqual({ unseen, unread, more, stale: false });
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('live counts: events of another subscription come late: they count all the same', () => {
  const log = new Log();
  log.change({ kind: 'follow', pattern: 'news.>' });
  const counts = log.counts(NOW);
  let live = beginLiveInbox({ topics: OWN, ...encodeInbox(log.state, toCursor) }, counts);
  log.item('news.x', 'one');
  log.item('user.me.a', 'one');
  const [, first, second] = log.events;
  for (const event of [second, first, second]) if (event) live = followInbox(live, event);
  expect(liveCounts(live, NOW)).toEqual({ unseen: 2, unread: 2, more: false, stale: false });
});

test('live counts: an item comes back by itself: they are stale, and say so', () => {
  const log = new Log();
  log.item('user.me.a', 'one');
  log.change({ kind: 'snoozed', sequences: [1], untilMs: NOW + 5 });
  const live = beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, log.counts(NOW));
  expect(liveCounts(live, NOW + 4)).toMatchObject({ unread: 0, stale: false });
  expect(liveCounts(live, NOW + 5).stale).toBe(true);
});

test('live counts: more items than are remembered, then older counts: stale and not wrong', () => {
  const log = new Log();
  const counts = log.counts(NOW);
  let live = beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, counts);
  for (let index = 0; index < 2 * INBOX_COUNT_MAX + 10; index++) log.item('user.me.a', 'one');
  for (const event of log.events) live = followInbox(live, event);
  expect(liveCounts(live, NOW)).toMatchObject({ unread: INBOX_COUNT_MAX, more: true, stale: true });
});

test('live counts: an event on the topic that no service wrote: counts for nothing', () => {
  const data = { topics: OWN, ...encodeInbox(EMPTY_INBOX, toCursor) };
  const counts = { unseen: 7, unread: 7, more: false, cursor: toCursor(5) };
  const live = beginLiveInbox(data, { ...counts, unread: 1, unseen: 1, cursor: toCursor(1) });
  const event = eventOn('inbox.me');
  const forged = { cursor: toCursor(6), event: { ...event, data: { ...data, counts } } };
  expect(followInbox(live, forged)).toBe(live);
});

test('counts: beyond the most: capped, and the rest is known to be there', () => {
  const counter = new InboxCounter(EMPTY_INBOX, NOW);
  for (let sequence = 2000; sequence > 2000 - INBOX_COUNT_MAX; sequence--)
    counter.add({ sequence });
  expect(counter.counts).toEqual({ unseen: 999, unread: 999, more: false });
  expect(counter.add({ sequence: 1 })).toBe(false);
  expect(counter.counts).toEqual({ unseen: 999, unread: 999, more: true });
});

test('state: written and read again: the same; what the log lost: the last before it', () => {
  const state = {
    ...EMPTY_INBOX,
    follows: [{ pattern: 'a', since: 9, types: ['x'] }],
    read: markOne(markUpTo(EMPTY_INBOX.read, 8), 12, true),
    snoozed: [{ sequence: 11, untilMs: NOW }],
    recent: ['id'],
  };
  const data = { topics: OWN, ...encodeInbox(state, toCursor) };
  expect(decodeInbox(data, toSequence)).toEqual(state);
  const lostBehind10 = (cursor: string) => {
    const { sequence } = toSequence(cursor);
    return { sequence: Math.min(sequence, 10), lost: sequence > 10 };
  };
  expect(decodeInbox(data, lostBehind10)).toEqual({
    ...state,
    read: { upTo: 8, except: [] },
    snoozed: [],
  });
  expect(decodeInbox(data, () => undefined).follows).toEqual([
    { pattern: 'a', since: 0, types: ['x'] },
  ]);
});

test('counts and live counts: what expires is counted until then, and the counts tell when', () => {
  const counter = new InboxCounter(markedRead(3), NOW);
  counter.add({ sequence: 5, expiresMs: NOW + 20 });
  counter.add({ sequence: 4, expiresMs: NOW + 10 });
  counter.add({ sequence: 3, expiresMs: NOW + 5 });
  expect(counter.nextExpiryMs).toBe(NOW + 10);
  const counts = { unseen: 0, unread: 0, more: false, cursor: toCursor(5) };
  const event = eventOn('user.me.a');
  const expires = new Date(NOW + 10).toISOString();
  const live = followInbox(beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, counts), {
    ...{ cursor: toCursor(6), event: { ...event, expires } },
  });
  expect(liveCounts(live, NOW + 9)).toMatchObject({ unread: 1, stale: false });
  expect(liveCounts(live, NOW + 10)).toMatchObject({ unread: 0, stale: false });
});

function eventOn(topic: string): CloudEvent {
  return { specversion: '1.0', id: '1', source: '/x', type: 'x', topic };
}

function markedRead(upTo: number): InboxState {
  return { ...EMPTY_INBOX, read: { upTo, except: [] } };
}

test('live counts: a change that was counted before the counts that it replaces: stale, because items between are not known', () => {
  const log = new Log();
  log.change({ kind: 'read', upTo: 0 });
  log.item('user.me.a', 'one');
  const older = log.counts(NOW);
  log.item('user.me.a', 'one');
  const live = beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, log.counts(NOW));
  const data = { topics: OWN, ...encodeInbox(EMPTY_INBOX, toCursor), counts: older };
  const event = eventOn('inbox.me');
  const late = { ...event, publisher: 'me', data };
  expect(liveCounts(followInbox(live, { cursor: toCursor(3), event: late }), NOW).stale).toBe(true);
  expect(followInbox(live, { cursor: toCursor(2), event: late })).toBe(live);
});

/** The notice that events, or all of a topic, were erased by the record before it. */
function notice(log: Log, topic: string, sequences?: readonly number[]): Logged {
  const record = toCursor(log.end + 1);
  const cursors = sequences && { cursors: sequences.map(toCursor) };
  const event = toNoticeEvent({ topic, record, ...cursors }, { recordedMs: 0, nowMs: 0 });
  return { cursor: toCursor(log.end + 2), event: event ?? expect.fail() };
}

function follow(log: Log): LiveInbox {
  const live = beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, log.counts(NOW));
  for (const topic of ['user.me.a', 'user.me.a', 'user.me.b']) log.item(topic, 'one');
  return log.events.slice(-3).reduce(followInbox, live);
}

test('live counts: an item behind the counts is erased: it counts no more, and nobody has to be asked', () => {
  const log = new Log();
  log.item('user.me.a', 'one');
  let live = follow(log);
  for (let times = 0; times < 2; times++) live = followInbox(live, notice(log, 'user.me.a', [2]));
  expect(liveCounts(live, NOW)).toEqual({ unseen: 3, unread: 3, more: false, stale: false });
});

test('live counts: an item that the counts may include is erased: they are stale, and many clients ask one by one', () => {
  const log = new Log();
  log.item('user.me.a', 'one');
  for (const erased of [[1], [1, 3], undefined]) {
    const live = followInbox(follow(log), notice(log, 'user.me.a', erased));
    expect(liveCounts(live, NOW)).toMatchObject({ stale: true, askWithinMs: RECOUNT_WITHIN_MS });
    const counts = { unseen: 1, unread: 1, more: false, cursor: toCursor(log.end + 2) };
    const renewed = renewLiveInbox(live, live.rules, counts);
    expect(liveCounts(renewed, NOW)).toEqual({ unseen: 1, unread: 1, more: false, stale: false });
    // A service that has not read of the erasure yet is asked once more.
    const late = { ...counts, cursor: toCursor(log.end) };
    expect(liveCounts(renewLiveInbox(live, live.rules, late), NOW).stale).toBe(true);
  }
});

test('live counts: an erased item comes behind its notice: stale and not wrong', () => {
  const log = new Log();
  const live = beginLiveInbox({ topics: OWN, follows: [], mutes: [] }, log.counts(NOW));
  log.item('user.me.a', 'one');
  const [item] = log.events;
  const told = followInbox(live, notice(log, 'user.me.a', [1]));
  const { stale, askWithinMs } = liveCounts(followInbox(told, item ?? expect.fail()), NOW);
  expect({ stale, askWithinMs }).toEqual({ stale: true, askWithinMs: undefined });
});

test('live counts: renewed while events arrive: those behind the new counts are added, and changes are kept', () => {
  const log = new Log();
  const live = follow(log);
  const counts = { unseen: 0, unread: 0, more: false, cursor: toCursor(2) };
  const renewed = renewLiveInbox(live, live.rules, counts);
  expect(liveCounts(renewed, NOW)).toMatchObject({ unread: 1, stale: false });
  log.change({ kind: 'read', upTo: 3 });
  const changed = followInbox(live, log.events.at(-1) ?? expect.fail());
  expect(renewLiveInbox(changed, live.rules, counts)).toBe(changed);
});

test('live counts: an erasure that newer counts have forgotten: makes no later one ask', () => {
  const log = new Log();
  log.item('user.me.a', 'one');
  const told = followInbox(follow(log), notice(log, 'user.me.a', [1]));
  const counts = { unseen: 3, unread: 3, more: false, cursor: toCursor(log.end + 2) };
  for (let count = 0; count < 3; count++) log.item('user.me.a', 'one');
  const later = { cursor: toCursor(log.end), event: log.events.at(-1)?.event ?? expect.fail() };
  const live = followInbox(renewLiveInbox(told, told.rules, counts), later);
  expect(liveCounts(live, NOW).unread).toBe(4);
  const next = followInbox(live, notice(log, 'user.me.a', [log.end]));
  expect(liveCounts(next, NOW)).toMatchObject({ unread: 3, stale: false });
});
