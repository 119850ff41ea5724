import { describe, expect, test } from 'vitest';
import { EventEntry } from '../log/event-entry.ts';
import { CONFLATED_TOPICS_MAX, Conflation } from './conflation.ts';

function entry(sequence: number, topic: string): EventEntry {
  return new EventEntry('e', { sequence, topic, timeMs: 0, json: new Uint8Array(2) });
}

function sequences(entries: readonly { readonly sequence: number }[]): number[] {
  return entries.map(({ sequence }) => sequence);
}

describe('conflation', () => {
  test('events: several of a topic: the last is kept, the others are skipped, in order', () => {
    const conflation = new Conflation(0);
    conflation.addEntries([entry(1, 'a'), entry(2, 'b'), entry(3, 'a')], 3, false);
    conflation.addEntries([entry(5, 'c'), entry(6, 'a')], 8, false);
    expect(sequences(conflation.entries)).toEqual([2, 5, 6]);
    expect(sequences(conflation.skipped)).toEqual([1, 3]);
    expect(conflation.through).toBe(8);
  });

  test('events: topics that cross: each skipped one is there, in the order of the newer ones', () => {
    const conflation = new Conflation(0);
    conflation.addEntries([entry(1, 'a'), entry(2, 'b'), entry(3, 'b'), entry(4, 'a')], 4, false);
    expect(sequences(conflation.skipped)).toEqual([2, 1]);
  });

  test('topics: as many as are conflated at a time: it is full', () => {
    const conflation = new Conflation(0);
    const all = Array.from({ length: CONFLATED_TOPICS_MAX }, (_, index) =>
      entry(index + 1, `t${index}`),
    );
    conflation.addEntries(all.slice(1), all.length, false);
    expect(conflation.full).toBe(false);
    conflation.addEntries(all.slice(0, 1), all.length, false);
    expect(conflation.full).toBe(true);
  });

  test('events of pages: a kept event retains no page', () => {
    const conflation = new Conflation(0);
    const page = Buffer.from('{"n":1}{"n":2}'.padEnd(100_000));
    const events = ['a', 'b'].map((topic, index) => {
      const json = page.subarray(index * 7, index * 7 + 7);
      return new EventEntry('e', { sequence: index + 1, topic, timeMs: 0, json });
    });
    conflation.addEntries(events, 2, true);
    const texts = conflation.entries.map(({ json }) => Buffer.from(json).toString());
    expect(texts).toEqual(['{"n":1}', '{"n":2}']);
    for (const { json } of conflation.entries) expect(json.buffer.byteLength).toBe(7);
  });
});
