import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCursor, parseStart, parseTime } from './cursors.ts';
import {
  CURSOR_JSON,
  type JsonSchema,
  PATTERN_JSON,
  PATTERNS_JSON,
  START_JSON,
  TIME_JSON,
  TOPIC_JSON,
  TYPES_JSON,
} from './schemas.ts';
import { isPattern, isTopic, PATTERNS_MAX } from './topics.ts';
import { TYPES_MAX, typesFault } from './type-filter.ts';

/* The JSON Schemas that the documents show for what is parsed by hand: they accept what the parser accepts. */

const ajv = new Ajv2020({ strict: false, formats: { 'date-time': isAccepted(parseTime) } });

function isAccepted(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}

const WORDS = [
  'latest',
  'earliest',
  'last',
  'first',
  'now',
  'a',
  'orders',
  '*',
  '>',
  '_-',
  'Ä',
  '~',
];
const TIMES = [
  '2026-01-31T12:00:00Z',
  '2026-02-30T12:00:00Z',
  '2026-01-31',
  '2026-01-31T12:00:00+01:00',
];
const CURSORS = ['m4x1k2-17', 'm4x1k2.a-0', 'm4x1k2-007', 'M-1', '-1', `e-${10 ** 16}`];

const text = fc.oneof(
  fc.constantFrom(...WORDS, ...TIMES, ...CURSORS),
  fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 20 }).map((all) => all.join('.')),
  fc.string({ maxLength: 10 }),
);

describe('JSON Schemas of texts', () => {
  test.each<[string, JsonSchema, (text: string) => boolean]>([
    ['topic', TOPIC_JSON, isTopic],
    ['pattern', PATTERN_JSON, isPattern],
    ['cursor', CURSOR_JSON, isAccepted(parseCursor)],
    ['time', TIME_JSON, isAccepted(parseTime)],
    ['start', START_JSON, (one) => one === '' || isAccepted(parseStart)(one)],
  ])('%s: accepts what its parser accepts, and nothing else', (name, json, accepts) => {
    const validate = ajv.compile(json);
    for (const one of [...WORDS, ...TIMES, ...CURSORS])
      expect(validate(one), one).toBe(accepts(one));
    fc.assert(
      fc.property(text, (one) => {
        // No text is the absent start.
        if (name === 'start' && one === '') return;
        expect(validate(one)).toBe(accepts(one));
      }),
    );
  });

  test('lists: as many items as their parsers take', () => {
    const patterns = ajv.compile(PATTERNS_JSON);
    expect([0, 1, PATTERNS_MAX, PATTERNS_MAX + 1].map((n) => patterns(Array(n).fill('a')))).toEqual(
      [false, true, true, false],
    );
    const types = ajv.compile(TYPES_JSON);
    for (const list of [[], ['a'], ['a*'], ['*'], ['a*b'], [''], Array(TYPES_MAX + 1).fill('a')]) {
      expect(types(list), list.join()).toBe(typesFault(list) === undefined);
    }
  });
});
