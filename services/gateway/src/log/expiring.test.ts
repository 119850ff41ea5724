import { eventExpiryMs } from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { expiryOf } from './expiring.ts';
import { Slab } from './slab.ts';

/** Each number is an event: what it has as `expires`, or `undefined`, and how long it is. */
const EVENTS = fc.array(
  fc.record({
    expires: fc.option(
      fc.constantFrom('2999-01-01T00:00:00Z', '2030-06-01T12:00:00.123Z', 'soon', 7),
      { nil: undefined, freq: 5 },
    ),
    text: fc.constantFrom('', 'ires"', '"expires":"2999-01-01T00:00:00Z"', 'x'.repeat(3000)),
  }),
  { maxLength: 150 },
);

test('events of a slab, asked in any order while it grows: each answers as it does alone', () => {
  fc.assert(
    fc.property(EVENTS, fc.infiniteStream(fc.nat()), (events, numbers) => {
      const slab = new Slab();
      const kept: Uint8Array[] = [];
      for (const { expires, text } of events) {
        const event = { specversion: '1.0', data: { text }, ...(expires && { expires }) };
        kept.push(slab.copy(Buffer.from(JSON.stringify(event))));
        const asked = kept[(numbers.next().value ?? 0) % kept.length];
        if (asked) expect(expiryOf(asked)).toBe(eventExpiryMs(asked));
      }
      for (const json of kept) expect(expiryOf(json)).toBe(eventExpiryMs(json));
    }),
  );
});

test('blocks that are full, whose events are asked in turns: each block is searched once', () => {
  const slab = new Slab();
  const json = Buffer.from(JSON.stringify({ data: { text: ' '.repeat(1000) } }));
  const kept = Array.from({ length: 200 }, () => slab.copy(json));
  const last = kept.at(-1)?.buffer;
  const full = kept.filter(({ buffer }) => buffer !== last);
  const blocks = new Set(full.map(({ buffer }) => buffer));
  const inTurns = full.toSorted((one, other) => one.byteOffset - other.byteOffset);
  const search = vi.spyOn(Buffer.prototype, 'indexOf');
  try {
    for (const event of inTurns) expect(expiryOf(event)).toBe(Number.POSITIVE_INFINITY);
    expect(blocks.size).toBeGreaterThan(1);
    expect(search).toHaveBeenCalledTimes(blocks.size);
  } finally {
    search.mockRestore();
  }
});

test('more events with it than are noted of a block: each has its time', () => {
  const slab = new Slab();
  const kept = Array.from({ length: 1000 }, (_, index) => {
    const expires = new Date(1_900_000_000_000 + index).toISOString();
    return slab.copy(Buffer.from(JSON.stringify({ expires })));
  });
  expect(kept.map(expiryOf)).toEqual(kept.map((_, index) => 1_900_000_000_000 + index));
});

test('what is in no block of a slab: is looked at itself', () => {
  const json = Buffer.alloc(64 * 1024, ' ').subarray(100, 400);
  expect(expiryOf(json)).toBe(Number.POSITIVE_INFINITY);
  json.write('{"expires":"2999-01-01T00:00:00Z"}');
  expect(expiryOf(json)).toBe(Date.parse('2999-01-01T00:00:00Z'));
});
