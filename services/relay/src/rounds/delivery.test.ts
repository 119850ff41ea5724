import { describe, expect, test } from 'vitest';
import type { OutboxRow } from '../outbox/row.ts';
import type { FailedRow, OutboxStore } from '../outbox/store.ts';
import type { Sent } from '../requests/ingest.ts';
import { deliver, type Sendable } from './delivery.ts';
import { HeldTopics } from './held-topics.ts';

/** An ingest that refuses what the test says, and an outbox that notes what becomes of its rows. */
function stage(answer: (events: readonly string[]) => Sent) {
  const requests: string[][] = [];
  const deleted: string[] = [];
  const failed: FailedRow[] = [];
  let mayOnce = Number.POSITIVE_INFINITY;
  const store = {
    deleteRows: async (positions: readonly string[]) => void deleted.push(...positions),
    setAside: async (rows: readonly FailedRow[]) => void failed.push(...rows),
  } as unknown as OutboxStore;
  return {
    requests,
    deleted,
    failed,
    interruptAfter: (count: number) => {
      mayOnce = count;
    },
    options: {
      store,
      held: new HeldTopics(1000),
      counters: { stored() {}, known() {}, setAside() {} },
      post: async (events: readonly string[]) => {
        requests.push([...events]);
        return answer(events);
      },
      maySend: () => mayOnce-- > 0,
      proven: () => true,
      onHeld() {},
    },
  };
}

/** Rows by name, such as `a1`, on the topic of their letter. */
function rows(...names: readonly string[]): Sendable[] {
  return names.map((name) => ({
    row: { position: name, topic: name[0] ?? '' } as OutboxRow,
    text: name,
  }));
}

const STORED: Sent = { end: 'stored', duplicates: 0 };
const WAIT: Sent = { end: 'wait', reason: 'unavailable', retryAfterMs: 0 };

describe('delivery', () => {
  test('a wrong event that the answer does not name: is found by halves, and the rest is stored', async () => {
    const { requests, deleted, failed, options } = stage((events) =>
      events.includes('a2') ? { end: 'unclear', code: 'conflict', reason: 'conflict: a2' } : STORED,
    );
    await deliver(rows('a1', 'a2', 'b1', 'b2'), options);
    expect(failed).toEqual([{ position: 'a2', failure: 'conflict: a2' }]);
    expect(deleted).toEqual(['a1', 'b1', 'b2']);
    expect(requests.map((events) => events.join())).toEqual([
      'a1,a2,b1,b2',
      'a1,a2',
      'a1',
      'a2',
      'b1,b2',
    ]);
  });

  test('an event that fails but not for good: nothing of its topic is sent behind it', async () => {
    const { requests, deleted, failed, options } = stage((events) =>
      events.includes('a1') ? { end: 'unclear', code: 'internal', reason: 'internal' } : STORED,
    );
    await deliver(rows('a1', 'b1', 'a2', 'b2'), options);
    expect(failed).toEqual([]);
    expect(deleted).toEqual(['b1', 'b2']);
    expect(requests.at(-1)).toEqual(['b2']);
    expect(options.held.list()).toEqual(['a']);
  });

  test('ingest takes nothing in the middle of halves: what is behind is not sent', async () => {
    const { requests, deleted, options } = stage((events) => {
      if (events.length > 2) return { end: 'unclear', code: 'too_large', reason: 'too_large' };
      return WAIT;
    });
    expect(await deliver(rows('a1', 'a2', 'a3', 'a4'), options)).toEqual(WAIT);
    expect(requests).toHaveLength(2);
    expect(deleted).toEqual([]);
  });

  test('the lock is lost in the middle: nothing more is sent', async () => {
    const { requests, interruptAfter, options } = stage((events) =>
      events.length > 1 ? { end: 'unclear', code: 'conflict', reason: 'conflict' } : STORED,
    );
    interruptAfter(2);
    expect(await deliver(rows('a1', 'a2', 'a3'), options)).toEqual({ end: 'interrupted' });
    expect(requests).toHaveLength(2);
  });

  test('an event that an operator has erased: leaves the outbox, and is not set aside', async () => {
    const { deleted, failed, options } = stage(() => ({
      end: 'unclear',
      code: 'erased',
      reason: 'erased',
    }));
    await deliver(rows('a1'), options);
    expect([deleted, failed]).toEqual([['a1'], []]);
  });

  test('forbidden on many topics, by a token that has not published: the rest is not tried', async () => {
    const { requests, failed, options } = stage(() => ({
      end: 'unclear',
      code: 'forbidden',
      reason: 'forbidden',
    }));
    const many = rows(...Array.from({ length: 64 }, (_, n) => String.fromCharCode(300 + n)));
    const end = await deliver(many, { ...options, proven: () => false });
    expect(end).toMatchObject({ end: 'wait', reason: 'forbidden' });
    expect(requests.length).toBeLessThan(24);
    expect(failed).toEqual([]);
  });

  test('forbidden, by a token that has not published: is no fault of the row', async () => {
    const { failed, options } = stage(() => ({
      end: 'unclear',
      code: 'forbidden',
      reason: 'forbidden',
    }));
    await deliver(rows('a1'), { ...options, proven: () => false });
    expect(failed).toEqual([]);
    expect(options.held.has('a')).toBe(true);
    await deliver(rows('b1'), options);
    expect(failed).toEqual([{ position: 'b1', failure: 'forbidden' }]);
  });
});
