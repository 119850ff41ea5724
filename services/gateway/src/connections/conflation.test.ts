import { describe, expect, test } from 'vitest';
import { Entry } from '../log/event-entry.ts';
import { NEWEST_TOPICS_MAX, Newest } from './conflation.ts';

function entry(sequence: number, topic: string): Entry {
  return new Entry({ epoch: 'e', sequence }, { topic, timeMs: 0, json: new Uint8Array(2) });
}

function sequences(entries: readonly { readonly sequence: number }[]): number[] {
  return entries.map(({ sequence }) => sequence);
}

describe('newest', () => {
  test('events: several of a topic: the last is kept, the others are passed over, in order', () => {
    const newest = new Newest(0);
    newest.add([entry(1, 'a'), entry(2, 'b'), entry(3, 'a')], 3, true);
    newest.add([entry(5, 'c'), entry(6, 'a')], 8, true);
    expect(sequences(newest.entries)).toEqual([2, 5, 6]);
    expect(sequences(newest.passed)).toEqual([1, 3]);
    expect(newest.through).toBe(8);
  });

  test('events: topics that cross: each one passed over is there, in the order of the newer ones', () => {
    const newest = new Newest(0);
    newest.add([entry(1, 'a'), entry(2, 'b'), entry(3, 'b'), entry(4, 'a')], 4, true);
    expect(sequences(newest.passed)).toEqual([2, 1]);
  });

  test('topics: as many as are looked ahead at a time: it is full', () => {
    const newest = new Newest(0);
    const all = Array.from({ length: NEWEST_TOPICS_MAX }, (_, index) =>
      entry(index + 1, `t${index}`),
    );
    newest.add(all.slice(1), all.length, true);
    expect(newest.full).toBe(false);
    newest.add(all.slice(0, 1), all.length, true);
    expect(newest.full).toBe(true);
  });

  test('events of pages: what is kept keeps no page', () => {
    const newest = new Newest(0);
    const page = Buffer.from('{"n":1}{"n":2}'.padEnd(100_000));
    const events = ['a', 'b'].map((topic, index) => {
      const json = page.subarray(index * 7, index * 7 + 7);
      return new Entry({ epoch: 'e', sequence: index + 1 }, { topic, timeMs: 0, json });
    });
    newest.add(events, 2, false);
    const texts = newest.entries.map(({ json }) => Buffer.from(json).toString());
    expect(texts).toEqual(['{"n":1}', '{"n":2}']);
    for (const { json } of newest.entries) expect(json.buffer.byteLength).toBe(7);
  });
});
