import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TidemarkError } from './errors.ts';
import {
  ADDED_BYTES_MAX,
  ATTRIBUTE_LENGTH_MAX,
  completeEvent,
  DATA_DEPTH_MAX,
  EVENT_BYTES_MAX,
  encodeEvent,
  parseEvent,
} from './events.ts';

/** The examples of the CloudEvents JSON format 1.0.2, sections 2.4 and 3.2, with whole payloads. */
const SPECIFIED = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  id: 'A234-1234-1234',
  time: '2018-04-05T17:31:00Z',
  comexampleextension1: 'value',
  comexampleothervalue: 5,
};
const EXAMPLES = [
  { ...SPECIFIED, datacontenttype: 'text/xml', data: '<much wow="xml"/>' },
  { ...SPECIFIED, unsetextension: null, datacontenttype: 'application/xml', data: '<a/>' },
  {
    ...SPECIFIED,
    datacontenttype: 'application/vnd.apache.thrift.binary',
    data_base64: 'AAECAw==',
  },
  {
    ...SPECIFIED,
    subject: null,
    datacontenttype: 'application/json',
    data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
  },
  { ...SPECIFIED, data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true } },
];

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: CloudEvents 1.0 section 3.2 forbids them.
  .filter((value) => !/[\u0000-\u001f\u007f-\u009f]/.test(value));
const extensionValue = fc.oneof(
  text,
  fc.boolean(),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);
const RESERVED = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'topic',
  'time',
  'subject',
  'data',
]);
const extensions = fc.dictionary(
  fc.stringMatching(/^[a-z0-9]{1,20}$/).filter((name) => !RESERVED.has(name)),
  extensionValue,
  { maxKeys: 4 },
);
const event = fc
  .record(
    {
      specversion: fc.constant('1.0' as const),
      id: text,
      source: fc.webUrl(),
      type: text,
      topic: fc.stringMatching(/^[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,8}){0,3}$/),
      time: fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9000-01-01') })
        .map((date) => date.toISOString()),
      subject: text,
      datacontenttype: fc.constantFrom('application/json', 'text/plain; charset=utf-8'),
      dataschema: fc.webUrl(),
      // JSON has one zero: what goes through it comes back without its sign.
      data: fc.jsonValue({ maxDepth: 4 }).map((data) => JSON.parse(JSON.stringify(data))),
    },
    { requiredKeys: ['specversion', 'id', 'source', 'type', 'topic'] },
  )
  .chain((core) => extensions.map((more) => ({ ...more, ...core })));

function faultsOf(input: unknown, path?: string): string[] {
  try {
    parseEvent(input, path);
    return [];
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    return (error.details.faults ?? []).map((fault) => fault.path);
  }
}

describe('events', () => {
  test('CloudEvent: any valid one: passes unchanged, also through the log', () => {
    fc.assert(
      fc.property(event, (valid) => {
        const parsed = parseEvent(valid);
        expect(parsed).toEqual(valid);
        expect(parseEvent(JSON.parse(Buffer.from(encodeEvent(parsed)).toString()))).toEqual(parsed);
      }),
    );
  });

  test('CloudEvent: the examples of the JSON format: taken, with their type as topic', () => {
    for (const example of EXAMPLES) {
      const present = Object.entries(example).filter(([, value]) => value !== null);
      const expected = { ...Object.fromEntries(present), topic: 'com.example.someevent' };
      expect(parseEvent(example)).toEqual(expected);
    }
  });

  test('CloudEvent: any JSON at all: an event, or an error that names what is wrong', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(faultsOf(input).length).toBeGreaterThan(0);
      }),
    );
  });

  test('CloudEvent: a valid one with one thing wrong: that one is named', () => {
    const wrong: readonly [name: string, value: unknown][] = [
      ['specversion', '0.3'],
      ['id', ''],
      ['id', 'x'.repeat(ATTRIBUTE_LENGTH_MAX + 1)],
      ['id', 'a\u0007b'],
      ['id', '\ud800'],
      ['id', 7],
      ['source', 'with space'],
      ['type', ''],
      ['topic', 'a..b'],
      ['time', '2026-02-30T00:00:00Z'],
      ['subject', ''],
      ['datacontenttype', 'json'],
      ['dataschema', '/relative'],
      ['Upper', 'x'],
      ['under_score', 'x'],
      ['fraction', 1.5],
      ['large', 2 ** 31],
      ['nested', { a: 1 }],
      ['control', 'a\nb'],
    ];
    // With a topic, most events are checked by another way.
    for (const given of [SPECIFIED, { ...SPECIFIED, topic: 'a' }]) {
      for (const [name, value] of wrong) {
        expect(faultsOf({ ...given, [name]: value }, 'event'), name).toEqual([`event.${name}`]);
      }
    }
    expect(faultsOf({ ...SPECIFIED, data: 1, data_base64: 'AA==' })).toEqual(['data_base64']);
    expect(faultsOf({ ...SPECIFIED, data_base64: '*' })).toEqual(['data_base64']);
  });

  test('CloudEvent: required attributes absent or null: each is named', () => {
    const required = ['specversion', 'id', 'source', 'type'];
    for (const nothing of [undefined, null]) {
      const input = Object.fromEntries(required.map((name) => [name, nothing]));
      expect(faultsOf(input).sort()).toEqual([...required].sort());
    }
  });

  test('CloudEvent: no topic, and a type that is none: the topic is named', () => {
    expect(faultsOf({ ...SPECIFIED, type: 'not a topic' })).toEqual(['topic']);
  });

  test('size: an event at the limit and one byte more: stored, refused, whatever servers add', () => {
    const empty = Buffer.byteLength(JSON.stringify({ ...SPECIFIED, data: '' }));
    const sized = (bytes: number) => ({ ...SPECIFIED, data: 'x'.repeat(bytes - empty) });
    const added = {
      topic: `a.${'b'.repeat(198)}`,
      publisher: 'ü'.repeat(256),
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      tracestate: `a=${'b'.repeat(510)}`,
    };
    for (const more of [{}, added]) {
      const largest = encodeEvent(parseEvent({ ...sized(EVENT_BYTES_MAX), ...more }));
      expect(largest.length).toBeGreaterThan(EVENT_BYTES_MAX);
      expect(() => encodeEvent(parseEvent({ ...sized(EVENT_BYTES_MAX + 1), ...more }))).toThrow(
        expect.objectContaining({ code: 'too_large' }),
      );
    }
    const tracestate = `a=${'b'.repeat(ADDED_BYTES_MAX)}`;
    expect(() => encodeEvent(parseEvent({ ...sized(EVENT_BYTES_MAX), tracestate }))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });

  test('dataschema that is #, as Azure Event Grid sends it: absent', () => {
    for (const given of [SPECIFIED, { ...SPECIFIED, topic: 'a' }]) {
      expect(parseEvent({ ...given, dataschema: '#' })).not.toHaveProperty('dataschema');
    }
    expect(faultsOf({ ...SPECIFIED, dataschema: '#schema' })).toEqual(['dataschema']);
  });

  test('data null: kept; beside data_base64: absent, as null is for every attribute', () => {
    expect(parseEvent({ ...SPECIFIED, data: null })).toHaveProperty('data', null);
    const bytes = parseEvent({ ...SPECIFIED, data: null, data_base64: 'AA==' });
    expect(bytes.data_base64).toBe('AA==');
    expect(bytes).not.toHaveProperty('data');
    const both = parseEvent({ ...SPECIFIED, data: null, data_base64: null });
    expect(both).toHaveProperty('data', null);
  });

  test('depth: data at the limit and one level more: stored, refused', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const deep = (levels: number) => parseEvent({ ...SPECIFIED, data: nested(levels) });
    expect(encodeEvent(deep(DATA_DEPTH_MAX)).length).toBeGreaterThan(DATA_DEPTH_MAX);
    expect(() => encodeEvent(deep(DATA_DEPTH_MAX + 1))).toThrow(
      expect.objectContaining({ code: 'invalid_event' }),
    );
  });

  test.each([
    ['number that JSON cannot hold', { n: [1, Number.POSITIVE_INFINITY] }, 'out of range'],
    ['half of a surrogate pair', ['fine', { a: 'x\ud83d' }], 'well-formed'],
    ['half of a surrogate pair as a name', { a: { '\ude00': 1 } }, 'well-formed'],
    ['half of a surrogate pair alone', '\ud83d', 'well-formed'],
  ])('data: %s: refused', (_, data, told) => {
    expect(() => encodeEvent(parseEvent({ ...SPECIFIED, data }))).toThrow(
      expect.objectContaining({ code: 'invalid_event', message: expect.stringContaining(told) }),
    );
  });

  test('bare body: what it lacks is added, what it has stays', () => {
    const defaults = { publisher: 'al ice', nowMs: 0, newId: () => 'new' };
    expect(parseEvent(completeEvent({ type: 'order.paid', id: 'own' }, defaults))).toEqual({
      specversion: '1.0',
      id: 'own',
      source: '/users/al%20ice',
      type: 'order.paid',
      topic: 'order.paid',
      time: '1970-01-01T00:00:00.000Z',
    });
    expect(completeEvent([1], defaults)).toEqual([1]);
  });
});
