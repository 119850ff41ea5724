import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ERASED_SEQUENCES_MAX,
  type Erasure,
  parseErasureRequest,
  readErasure,
  toErasureEvent,
} from './erasures.ts';
import { encodeEvent, parseEvent } from './events.ts';
import { requirePublishable } from './reserved-topics.ts';

const PARTS = { id: '1', reason: 'r', by: 'operator', nowMs: 0 };

describe('erasures', () => {
  test('record: a valid event that says what is erased, and is read as that', () => {
    const sequences = fc.uniqueArray(fc.integer({ min: 1 }), { minLength: 1, maxLength: 9 });
    const erasure: fc.Arbitrary<Erasure> = fc.oneof(
      sequences.map((list) => ({ sequences: list })),
      fc.constantFrom('a', 'a.b').map((topic) => ({ topic })),
    );
    fc.assert(
      fc.property(erasure, (wanted) => {
        const event = parseEvent(toErasureEvent({ ...PARTS, erasure: wanted }));
        const read = JSON.parse(Buffer.from(encodeEvent(event)).toString());
        expect(readErasure(read)).toEqual(wanted);
      }),
    );
    const largest = Array.from({ length: ERASED_SEQUENCES_MAX }, (_, n) => 2 ** 52 + n);
    const event = toErasureEvent({ ...PARTS, erasure: { sequences: largest } });
    expect(readErasure(JSON.parse(Buffer.from(encodeEvent(event)).toString()))).toBeDefined();
  });

  test('any other event, also on its topic: none', () => {
    const event = toErasureEvent({ ...PARTS, erasure: { topic: 'a' } });
    const others = [
      null,
      7,
      { ...event, type: 'other' },
      { ...event, topic: 'other' },
      { ...event, data: {} },
      { ...event, data: { sequences: [] } },
      { ...event, data: { sequences: [0.5] } },
      { ...event, data: { topic: '' } },
    ];
    for (const other of others) expect(readErasure(other)).toBeUndefined();
    fc.assert(fc.property(fc.jsonValue(), (data) => void readErasure({ ...event, data })));
  });

  test('request: one target and a reason; anything else is a typed error', () => {
    expect(parseErasureRequest({ source: '/s', id: '1', reason: 'r' })).toEqual({
      target: { kind: 'event', source: '/s', id: '1' },
      reason: 'r',
    });
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(() => parseErasureRequest(input)).toThrow(
          expect.objectContaining({ code: 'invalid_query' }),
        );
      }),
    );
  });

  test('topics of the servers: no publisher may write to them, and to all others', () => {
    const event = { specversion: '1.0', id: '1', source: '/s', type: 't' } as const;
    for (const topic of ['tidemark.erasures', 'tidemark.x.y']) {
      expect(() => requirePublishable({ ...event, topic }, 0)).toThrow(
        expect.objectContaining({ code: 'forbidden' }),
      );
    }
    for (const topic of ['tidemark', 'tidemarks.a', 'a.tidemark.b']) {
      requirePublishable({ ...event, topic }, 0);
    }
  });
});
