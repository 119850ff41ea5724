import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATA_DEPTH_MAX, encodeEvent, parseEvent } from './events.ts';
import { parseExact, stringifyExact } from './exact-json.ts';

const EVENT = { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 't' };

describe('exact JSON', () => {
  test.each([
    '9007199254740993',
    '-9223372036854775808',
    '18446744073709551615',
    '[1,{"a":[12345678901234567890.5e3]}]',
    '0.1234567890123456789',
    '[9007199254740993,9007199254740993 ]',
    '{"9007199254740993":9007199254740993,"\\"":"9007199254740993 \\" 9007199254740993"}',
  ])('%s: every digit comes back', (text) => {
    expect(stringifyExact(parseExact(text))).toBe(text.replace(' ]', ']'));
  });

  test.each(['9007199254740991', '"9007199254740993"', '1234567890.125', '1e21'])(
    '%s: parsed as always',
    (text) => expect(parseExact(text)).toBe(JSON.parse(text)),
  );

  test.each([
    '1-2345678901234567',
    '01234567890123456789',
    '12345678901234567890x',
    '{12345678901234567890:1}',
    '[12345678901234567890',
    '1.2.345678901234567890',
  ])('%s: refused, with what was sent in the error', (text) => {
    const expected = errorOf(() => JSON.parse(text));
    expect(errorOf(() => parseExact(text)).message).toBe(expected.message);
  });

  test('any JSON, numbers with more digits put into it: what JSON.parse says, and the same digits', () => {
    const digits = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String);
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), digits, (json, number) => {
        const text = `{"a":${json},"n":[${number},{"b":${number}}]}`;
        const written = stringifyExact(parseExact(text));
        expect(JSON.parse(written)).toEqual(JSON.parse(text));
        expect(written.endsWith(`"n":[${number},{"b":${number}}]}`)).toBe(true);
      }),
    );
  });

  test('an event: its data keeps them at any depth that is allowed, its attributes do not have them', () => {
    const nested = `${'['.repeat(DATA_DEPTH_MAX)}9007199254740993${']'.repeat(DATA_DEPTH_MAX)}`;
    for (const data of ['9007199254740993', nested]) {
      const text = JSON.stringify(EVENT).replace(/}$/, `,"data":${data}}`);
      const bytes = encodeEvent(parseEvent(parseExact(text)));
      expect(Buffer.from(bytes).toString()).toBe(text);
    }
    for (const name of ['id', 'topic', 'extension']) {
      const text = `{"specversion":"1.0","id":"1","source":"/s","type":"t","${name}":9007199254740993}`;
      expect(() => parseEvent(parseExact(text))).toThrow(
        expect.objectContaining({ code: 'invalid_event' }),
      );
    }
    const infinite = parseExact(`{"data":[1e400,9007199254740993]}`) as object;
    expect(() => encodeEvent(parseEvent({ ...EVENT, ...infinite }))).toThrow(/out of range/);
  });

  test('a megabyte of anything: some milliseconds', () => {
    const pieces = [
      '1,',
      '12345678901234567,',
      '"a",',
      '"9007199254740993",',
      '"\\\\",',
      '{"a":1},',
    ];
    const texts = pieces.map((piece) => {
      return `[${piece.repeat(1_000_000 / piece.length)}9007199254740993]`;
    });
    const startMs = performance.now();
    for (const text of texts) parseExact(text);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});

function errorOf(read: () => unknown): Error {
  try {
    read();
  } catch (error) {
    return error as Error;
  }
  return expect.fail('nothing was thrown');
}
