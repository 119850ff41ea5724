import { expect, test } from 'vitest';
import type { OutboxRow } from '../outbox/row.ts';
import type { OutboxStore, RowQuery } from '../outbox/store.ts';
import { NoAnswerError } from '../requests/http.ts';
import type { Verdict, Wanted } from '../requests/look-up.ts';
import { HeldTopics } from './held-topics.ts';
import { type RoundOptions, runRound } from './round.ts';
import { Waits } from './waits.ts';

const RECOGNISED_MS = 3_600_000;

/** A row by name, such as `a1`, on the topic of its letter; `old` where only a look-up tells whether it is stored. */
function row(name: string, old = false): OutboxRow {
  const topic = name[0] ?? '';
  const attempted = { at: '2026-01-01T00:00:00Z', ageMs: RECOGNISED_MS };
  return {
    ...{ position: name, topic, type: 'x', source: '/x', id: name, time: '2026-01-01T00:00:00Z' },
    ...{ data: null, attributes: null, bytes: 10, ...(old && { attempted }) },
  };
}

/** An outbox with these rows, whose reading takes a time, and a stream that says of each what the test says. */
function stage(rows: readonly OutboxRow[], verdict: (id: string) => Verdict | Promise<Verdict>) {
  const clock = { nowMs: 0, readMs: 0 };
  const left = new Map(rows.map((one) => [one.position, one]));
  const held = new HeldTopics(1000, () => clock.nowMs);
  const sent: string[] = [];
  const store = {
    holdsLock: true,
    async readRows({ exceptTopics }: RowQuery) {
      clock.nowMs += clock.readMs;
      return [...left.values()].filter(({ topic }) => !exceptTopics.includes(topic));
    },
    markAttempted: async (positions: readonly string[]) => new Set(positions),
    async deleteRows(positions: readonly string[]) {
      for (const position of positions) left.delete(position);
    },
  } as unknown as OutboxStore;
  const options: RoundOptions = {
    store,
    held,
    counters: { stored() {}, known() {}, setAside() {} },
    waits: new Waits({ info() {}, warn() {} } as never),
    async post(events) {
      sent.push(...events.map((text) => JSON.parse(text).id));
      return { end: 'stored', duplicates: 0 };
    },
    proven: () => true,
    findHead: async () => 'head',
    lookUp: async ({ id }: Wanted) => verdict(id),
    ...{ batchRows: 100, batchBytes: 1 << 20, recognisedMs: RECOGNISED_MS },
  };
  return { clock, held, left, sent, options };
}

test('a topic whose pause ends while the other rows are read: waits longer the next time', async () => {
  const { clock, held, options } = stage([row('a1')], () => 'absent');
  for (let times = 0; times < 4; times++) held.hold('a');
  clock.readMs = held.soonestMs();
  expect(await runRound(options)).toEqual({ end: 'idle' });
  expect(held.has('a')).toBe(false);
  held.hold('a');
  expect(held.soonestMs()).toBeGreaterThanOrEqual(500);
});

test('an empty outbox: nothing is held any more', async () => {
  const { clock, held, options } = stage([], () => 'absent');
  held.hold('a');
  clock.nowMs = 1000;
  expect(await runRound(options)).toEqual({ end: 'idle' });
  expect(held.size).toBe(0);
});

test('one look-up has no answer: what others have found counts, and new rows go on', async () => {
  let tellFound = () => {};
  const found = new Promise<void>((resolve) => {
    tellFound = resolve;
  });
  const rows = [row('a1', true), row('b1', true), row('c1', true), row('a2'), row('d1')];
  const { held, left, sent, options } = stage(rows, async (id) => {
    if (id === 'c1') tellFound();
    if (id !== 'a1') return id === 'b1' ? 'stored' : 'absent';
    await found;
    throw new NoAnswerError('no answer in time');
  });
  expect(await runRound(options)).toEqual({ end: 'done' });
  expect([...left.keys()]).toEqual(['a1', 'a2']);
  expect(sent).toEqual(['c1', 'd1']);
  expect(held.list()).toEqual(['a']);
});

test('no gateway tells the end of the log: old rows wait without a look-up, and new ones go on', async () => {
  const asked: string[] = [];
  const { held, left, sent, options } = stage([row('a1', true), row('b1')], (id) => {
    asked.push(id);
    return 'absent';
  });
  const findHead = () => Promise.reject(new NoAnswerError('no answer in time'));
  expect(await runRound({ ...options, findHead })).toEqual({ end: 'done' });
  expect([...left.keys()]).toEqual(['a1']);
  expect([asked, sent, held.list()]).toEqual([[], ['b1'], ['a']]);
});

test('a look-up finds the row of a topic that was held: the topic is held no more', async () => {
  const { clock, held, left, options } = stage([row('a1', true)], () => 'stored');
  held.hold('a');
  clock.nowMs = 1000;
  expect(await runRound(options)).toEqual({ end: 'done' });
  expect([left.size, held.size]).toEqual([0, 0]);
});
