import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventType } from './event-type.ts';

const attribute = fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 }));

describe('event type', () => {
  test('any type among any attributes, in any order, also within data: it is found', () => {
    const type = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(type, fc.array(attribute), fc.array(attribute), (text, before, after) => {
        const data = { type: 'x', '"type"': ['type'], nested: { type: '","type":"y"' } };
        const pairs = [
          ...before,
          ['data', data],
          ['type', text],
          ...after.filter(([name]) => name !== 'type'),
        ];
        const json = Buffer.from(JSON.stringify(Object.fromEntries(pairs)));
        // Events are views of larger buffers.
        const view = Buffer.concat([Buffer.from('{"type":"z"'), json]).subarray(11);
        expect(eventType(view)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  test('long strings with quotes and backslashes before it: it is found', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', '\\', 'x'), maxLength: 300 }), (data) => {
        const json = JSON.stringify({ data: data.padStart(250, 'x'), type: 'a.b' });
        expect(eventType(Buffer.from(json))).toBe('a.b');
      }),
    );
  });

  test('no event: the empty text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        fc.pre(!text.includes('type'));
        expect(eventType(Buffer.from(text))).toBe('');
      }),
    );
    for (const text of ['{"type":7}', '{"type":', '{"type"', '{"type":"a', 'null', '"type"']) {
      expect(eventType(Buffer.from(text))).toBe('');
    }
  });

  test('white space, or an escaped name: it is found as well', () => {
    expect(eventType(Buffer.from('{ "data" : {"type":"x"}, "type" : "a" }'))).toBe('a');
    expect(eventType(Buffer.from('{"data":1,"t\\u0079pe":"a"}'))).toBe('a');
  });
});
