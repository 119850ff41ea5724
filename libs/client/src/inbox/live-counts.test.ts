import {
  beginLiveInbox,
  type CloudEvent,
  followInbox,
  type InboxData,
  liveCounts,
  NOTICE_TYPE,
  noticesOf,
  renewLiveInbox,
} from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { erasedBy, LiveCounts, NEWER_MAX } from './live-counts.ts';
import { itemFilter } from './rules.ts';
import { type CountsAnswer, expiryMs, type Rules, readNotice } from './wire.ts';

/* The counts of the client library say what those of `@tidemark/protocol` say, whatever comes. */

const NOW = 1_800_000_000_000;
const END = 60;

const toCursor = (sequence: number) => `log-${sequence}`;
const time = (ms: number) => new Date(NOW + ms).toISOString();

const position = fc.nat(END);
const types = fc.option(fc.constantFrom(['one'], ['t*', 'one']), { nil: undefined });
const patterns = fc.constantFrom('news.>', 'news.*', '>', 'user.me.a', 'other');
const topic = fc.constantFrom(
  'user.me.a',
  'user.you.a',
  'news.x',
  'news.y.z',
  'other',
  'inbox.a.b',
);
const counts: fc.Arbitrary<CountsAnswer> = fc
  .record({
    unseen: fc.nat(3),
    unread: fc.integer({ min: 3, max: 5 }),
    more: fc.boolean(),
    at: position,
    until: fc.option(fc.integer({ min: -10, max: 300 }), { nil: undefined }),
  })
  .map(({ at, until, ...rest }) => ({
    ...rest,
    cursor: toCursor(at),
    ...(until !== undefined && { until: time(until) }),
  }));
const rules: fc.Arbitrary<Rules> = fc.record({
  topics: fc.constant(['user.me.>']),
  follows: fc.array(
    fc
      .record({ pattern: patterns, types, since: position })
      .map(({ types: some, since, pattern }) => ({
        pattern,
        since: toCursor(since),
        ...(some && { types: some }),
      })),
    { maxLength: 3 },
  ),
  mutes: fc.array(
    fc
      .record({ pattern: patterns, types })
      .map(({ pattern, types: some }) => ({ pattern, ...(some && { types: some }) })),
    { maxLength: 1 },
  ),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      at: position,
      topic,
      type: fc.constantFrom('one', 'two', 'three'),
      expiresIn: fc.option(fc.nat(300), { nil: undefined }),
    }),
  },
  fc.record({ renew: counts, rules }),
  fc.record({ changed: position, counts: fc.option(counts, { nil: undefined }), rules }),
  fc.record({
    record: position,
    of: topic,
    cursors: fc.option(fc.array(position, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  }),
  fc.record({ passMs: fc.nat(100) }),
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const event = (more: object) => ({ specversion: '1.0', id: 'x', source: '/x', ...more });

/** The counts under test beside those of the protocol. */
class Both {
  nowMs = NOW;
  rules: Rules;
  readonly counts: LiveCounts;
  reference;

  constructor(first: CountsAnswer, begin: Rules) {
    this.rules = begin;
    this.counts = new LiveCounts(first);
    this.reference = beginLiveInbox(begin, first);
  }

  perform(one: Step): void {
    if ('topic' in one) this.#item(one);
    else if ('renew' in one) this.#renew(one);
    else if ('changed' in one) this.#change(one);
    else if ('record' in one) this.#notice(one);
    else this.nowMs += one.passMs;
  }

  compare(): void {
    const { stale, askWithinMs, ...reference } = liveCounts(this.reference, this.nowMs);
    const { nextMs, ...present } = this.counts.now(itemFilter(this.rules), this.nowMs);
    expect(present).toEqual({ ...reference, ...(stale && { askWithinMs: askWithinMs ?? 0 }) });
    if (stale || nextMs === Number.POSITIVE_INFINITY) return;
    // Nothing changes before that time, and something may then.
    const { nextMs: _, ...later } = this.counts.now(itemFilter(this.rules), nextMs - 1);
    expect(later).toEqual(present);
  }

  #item({ at, topic, type, expiresIn }: Extract<Step, { topic: string }>): void {
    const expires = expiresIn && { expires: time(expiresIn) };
    const whole = event({ topic, type, ...expires }) as unknown as CloudEvent;
    this.counts.add({ sequence: at, topic, type, expiresMs: expiryMs(whole as never) });
    this.#hear(at, whole);
  }

  #renew({ renew, rules }: Extract<Step, { renew: CountsAnswer }>): void {
    this.reference = renewLiveInbox(this.reference, rules, renew);
    this.counts.renew(renew);
    this.rules = this.reference.rules as Rules;
  }

  #change({ changed, counts, rules }: Extract<Step, { changed: number }>): void {
    const data = { ...rules, ...(counts && { counts }) } as unknown as InboxData;
    const isTaken = changed > this.reference.changed;
    this.#hear(changed, event({ topic: 'inbox.me', type: 'x', publisher: 'me', data }));
    expect(this.counts.change(changed, counts)).toBe(isTaken);
    this.rules = this.reference.rules as Rules;
  }

  #notice({ record, of, cursors }: Extract<Step, { record: number }>): void {
    const data = { record: toCursor(record), ...(cursors && { cursors: cursors.map(toCursor) }) };
    const told = event({ topic: noticesOf(of), type: NOTICE_TYPE, data });
    this.#hear(END + 1, told);
    const notice = readNotice(told as never);
    if (notice) this.counts.erase(notice, erasedBy(notice));
  }

  #hear(at: number, told: object): void {
    this.reference = followInbox(this.reference, {
      cursor: toCursor(at),
      event: told as CloudEvent,
    });
  }
}

test('live counts: any events, answers and notices: are those of the protocol', () => {
  fc.assert(
    fc.property(counts, rules, fc.array(step, { maxLength: 60 }), (first, begin, steps) => {
      const both = new Both(first, begin);
      for (const one of steps) {
        both.perform(one);
        both.compare();
      }
    }),
    { numRuns: 2000 },
  );
});

test('live counts: more items than are remembered: are stale, and are right after an answer', () => {
  const first = { unseen: 0, unread: 0, more: false, cursor: toCursor(0) };
  const live = new LiveCounts(first);
  const accepts = () => true;
  const add = (sequence: number) =>
    live.add({ sequence, topic: 'a', type: 'b', expiresMs: Number.POSITIVE_INFINITY });
  for (let sequence = 1; sequence <= NEWER_MAX; sequence++) add(sequence);
  expect(live.now(accepts, NOW)).toMatchObject({ unseen: 999, unread: 999, more: true });
  expect(live.now(accepts, NOW)).not.toHaveProperty('askWithinMs');
  add(NEWER_MAX + 1);
  expect(live.now(accepts, NOW)).toMatchObject({ askWithinMs: 0 });
  live.renew({ ...first, cursor: toCursor(NEWER_MAX) });
  expect(live.now(accepts, NOW)).toMatchObject({ unseen: 1, unread: 1, more: false });
});
