import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { leastMs } from '../../../test/support/least-ms.ts';
import { refuseCostlyText, splitArray } from './json-text.ts';

const FILL = ' '.repeat(20_000);

/** What it throws, or `undefined`. */
function look(text: string): unknown {
  try {
    refuseCostlyText(text, { depth: 1, whole: true });
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('costly text', () => {
  test('many attributes: refused; as many keys inside of data: not', () => {
    const many = JSON.stringify(
      Object.fromEntries([...Array(2000).keys()].map((n) => [`k${n}`, 1])),
    );
    expect(look(FILL + many)).toMatchObject({ code: 'invalid_event' });
    expect(look(`${FILL}{"data":${many}}`)).toBeUndefined();
    expect(look(`${FILL}{"data":"${':'.repeat(500)}","x":"\\":::::"}`)).toBeUndefined();
  });

  test('nested deeper than data may be: refused, brackets in texts do not count', () => {
    const deep = (levels: number) => `{"data":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expect(look(FILL + deep(64))).toBeUndefined();
    expect(look(FILL + deep(65))).toMatchObject({ code: 'invalid_event' });
    expect(look('['.repeat(1_000_000))).toMatchObject({ code: 'invalid_event' });
    expect(look(`${FILL}{"data":"${'['.repeat(500)}"}`)).toBeUndefined();
  });

  test('longer than an event may be: refused; white space and escapes do not count', () => {
    const long = 'x'.repeat(264 * 1024);
    expect(look(`{"data":"${long}"}`)).toMatchObject({ code: 'too_large', limit: 'event_bytes' });
    expect(look(`{"data":[${' '.repeat(300_000)}]}`)).toBeUndefined();
    expect(look(`{"data":"${'\\u0041'.repeat(200_000)}"}`)).toBeUndefined();
  });

  test('a megabyte of anything: some milliseconds', () => {
    const texts = ['"', '\\', '"\\"', '{"a":', '[', ',', '"a"', '\\\\"'].map((piece) => {
      return piece.repeat(1_000_000 / piece.length);
    });
    const before = process.cpuUsage();
    for (const text of texts) look(text);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000);
  });

  test('property: any small JSON, with white space before it: accepted', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        expect(look(FILL + text)).toBeUndefined();
      }),
    );
  });
});

describe('split array', () => {
  test('property: the items are those of the array', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (items, space) => {
        const texts = splitArray(JSON.stringify(items, undefined, space)) ?? [];
        expect(texts.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(items)));
      }),
    );
  });

  test('more items than wanted: one more, and the rest is not looked at', () => {
    expect(splitArray('[1,2,3]', 3)).toEqual(['1', '2', '3']);
    expect(splitArray('[1,2,3,4]', 3)).toEqual(['1', '2', '3', '4']);
    expect(splitArray('[1,2,3,4,5', 3)).toEqual(['1', '2', '3', '4']);
    const text = `[${'1,'.repeat(500_000)}1]`;
    const split = () => expect(splitArray(text, 1_000)).toHaveLength(1_001);
    expect(leastMs(5, split)).toBeLessThan(5);
  });

  test.each(['{}', '1', '"[]"', '', 'x[]'])('%s: is no array', (text) => {
    expect(splitArray(text)).toBeUndefined();
  });

  test.each(['[', '[1', '[1}', '[1] x', '[]]', '["]', '[{]'])('%s: has no right end', (text) => {
    expect(() => splitArray(text)).toThrow(SyntaxError);
  });

  test.each(['[1,]', '[,1]', '[1 2]', '[{}{}]', '[}{]', '[[}]'])(
    '%s: an item is no JSON',
    (text) => {
      expect(() => splitArray(text)?.map((item) => JSON.parse(item))).toThrow(SyntaxError);
    },
  );
});
