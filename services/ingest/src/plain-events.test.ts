import { type EncodedEvent, EVENT_BYTES_MAX, PlainEvents, TidemarkError } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SubmissionContext } from './event-input.ts';
import { readSubmission } from './submission.ts';

type Headers = Readonly<Record<string, string>>;

const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };

/** Before a body it has no meaning, except that no byte of the body is read as it came. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

const TRACEPARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

const context: SubmissionContext = {
  publisher: 'al"ice ü',
  nowMs: Date.parse('2026-06-01T00:00:00Z'),
  newId: () => 'new',
  batchEventsMax: 5,
  runStep: async (step) => step(),
};
const traced = { ...context, context: { traceparent: TRACEPARENT, tracestate: 'a="b"' } };

const EVENT = {
  specversion: '1.0',
  id: '1',
  source: '/orders',
  type: 'order.paid',
  topic: 'orders.1',
};

/** The JSON of an event with further attributes, which are JSON already. */
function textOf(attributes: Readonly<Record<string, string>> = {}): string {
  const all = { ...Object.fromEntries(Object.entries(EVENT).map(toJson)), ...attributes };
  return `{${Object.entries(all).map(([name, json]) => `"${name}":${json}`)}}`;
}

function toJson([name, value]: [string, unknown]): [string, string] {
  return [name, JSON.stringify(value)];
}

function readPlain(text: string, with_ = context): EncodedEvent | undefined {
  const bytes = Buffer.from(text);
  const plain = PlainEvents.of(bytes, with_);
  const event = plain?.read(plain.blank(0));
  return event && plain?.blank(plain.end) === bytes.length ? event : undefined;
}

/** What becomes of a body: its events, or the error as its client gets it. */
async function outcomeOf(headers: Headers, body: Buffer, with_: SubmissionContext) {
  try {
    const { events } = await readSubmission(headers, body, with_);
    return events.map(({ json, ...event }) => ({ ...event, json: Buffer.from(json).toString() }));
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const { code, message, details, limit } = error;
    return { code, message, details, limit };
  }
}

async function expectSame(headers: Headers, body: Buffer, with_ = context): Promise<void> {
  const slow = await outcomeOf(headers, Buffer.concat([BYTE_ORDER_MARK, body]), with_);
  expect(await outcomeOf(headers, body, with_)).toEqual(slow);
}

const blank = fc.constantFrom('', '', '', '', ' ', '\n ', '\t', '\r\n');

/** Numbers as their senders may write them, and some that are none. */
const number = fc.oneof(
  fc.integer().map(String),
  fc.double().map((value) => JSON.stringify(value)),
  fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,3})?$/),
  fc.constantFrom('-0', '0.0', '1.0', '01', '1.', '.5', '-', '1e5', '1E+2', '1e999', '0.000001'),
  fc.constantFrom('0.0000001', '123456789012345', '1234567890123456', '9007199254740993', '+1'),
  fc.constantFrom(
    '0.10',
    '-0.5',
    '12345678901234.5',
    `1${'0'.repeat(320)}`,
    `0.${'1'.repeat(320)}`,
  ),
);

const piece = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.string({ unit: 'grapheme-ascii' }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.constantFrom('\\/', '\\u0041', '\\u001b', '\\ud83d', '\\ud83d\\ude00', '\\n', '\\"', '\\\\'),
  fc.constantFrom('\\x', '\\', '\u007f', '\u0085', '\u2028', 'ü', '😀', '\n', '\0', "'"),
);
const string = fc.array(piece, { maxLength: 3 }).map((pieces) => `"${pieces.join('')}"`);

const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('"a"', '"b"', '"c"', '"total"', '"ü"') },
  fc.constantFrom('""', '"1"', '"01"', '"__proto__"', '"toJSON"', '"\\u0061"', '"a b"'),
  string,
);

const { value } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'null', 'tru', '{}', '[]', '[,]', '{,}'),
    number,
    string,
    tie('object'),
    tie('array'),
  ),
  object: fc
    .tuple(blank, fc.array(fc.tuple(name, blank, tie('value'), blank), { maxLength: 4 }))
    .map(([first, items]) => {
      return `{${first}${items.map(([key, a, json, b]) => `${key}:${a}${json}${b}`).join(',')}}`;
    }),
  array: fc
    .array(fc.tuple(blank, tie('value')), { maxLength: 4 })
    .map((items) => `[${items.map(([space, json]) => space + json).join(',')}]`),
}));

const attribute = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('"data"'), value) },
  fc.tuple(
    fc.constantFrom('"time"', '"expires"'),
    fc.constantFrom(
      '"2026-11-27T18:00:00Z"',
      '"2026-02-30T18:00:00.123456789012+01:00"',
      '"2026-01-31t12:00:60z"',
      '"2020-01-01T00:00:00Z"',
      'null',
      '"soon"',
    ),
  ),
  fc.tuple(
    fc.constantFrom('"datacontenttype"', '"dataschema"', '"subject"', '"data_base64"'),
    fc.oneof(
      fc.constantFrom('"application/json"', '"https://a.example/s"', '"#"', '"AA=="', 'null', '""'),
      string,
    ),
  ),
  fc.tuple(
    fc.constantFrom('"traceparent"', '"tracestate"', '"publisher"'),
    fc.oneof(fc.constantFrom(`"${TRACEPARENT}"`, '"a=b"', 'null', 'true', '""'), string),
  ),
  fc.tuple(
    fc.constantFrom('"specversion"', '"id"', '"source"', '"type"', '"topic"'),
    fc.oneof(fc.constantFrom('"1.0"', '"a.b"', '"inbox.a"', '"tidemark.x"', 'null', '1'), string),
  ),
  fc.tuple(
    fc.oneof(fc.constantFrom('"x"', '"ext1"', '"1x"', '"7"', '"a_b"', '"\\u0069d"', '"X"'), name),
    fc.oneof(fc.constantFrom('1', 'true', 'false', '2147483648', '-2147483648', 'null'), value),
  ),
);

/** The text of an event that may be right or wrong in many ways, and often is as most publishers send it. */
const event = fc
  .record({
    missing: fc.oneof(
      { weight: 8, arbitrary: fc.constant<string[]>([]) },
      fc.subarray(Object.keys(EVENT)),
    ),
    more: fc.uniqueArray(attribute, { maxLength: 4, selector: ([key, json]) => `${key}${json}` }),
    doubled: fc.nat(20),
    spaces: fc.array(blank, { minLength: 4, maxLength: 4 }),
    turned: fc.boolean(),
  })
  .map(({ missing, more, doubled, spaces, turned }) => {
    const own = Object.entries(EVENT)
      .filter(([key]) => !missing.includes(key))
      .map(([key, text]) => [`"${key}"`, `"${text}"`] as [string, string]);
    const all = new Map(turned ? [...more, ...own] : [...own, ...more]);
    const list = doubled === 0 ? [...own, ...more] : [...all];
    const [a = '', b = '', c = '', d = ''] = spaces;
    return `{${a}${list.map(([key, json]) => `${key}${b}:${c}${json}${d}`).join(',')}}`;
  });

/** A change of a byte or two of a text that is right otherwise. */
const damage = fc.record({
  at: fc.nat(1000),
  remove: fc.nat(2),
  add: fc.oneof(
    fc.constant(Buffer.alloc(0)),
    fc.constantFrom(...'"\\{}[],: \n0e-.tü\0').map((text) => Buffer.from(text)),
    fc.uint8Array({ minLength: 1, maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
  ),
});

const body = fc
  .record({
    items: fc.array(event, { maxLength: 7 }),
    spaces: fc.array(blank, { minLength: 3, maxLength: 3 }),
    damage: fc.option(damage, { freq: 3 }),
  })
  .map(({ items, spaces: [a = '', b = '', c = ''], damage: change }) => {
    return damaged(Buffer.from(`${a}[${b}${items.join(`${c},${b}`)}${c}]${a}`), change);
  });

function damaged(bytes: Buffer, change: { at: number; remove: number; add: Buffer } | null) {
  if (!change) return bytes;
  const at = change.at % (bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), change.add, bytes.subarray(at + change.remove)]);
}

/** Data that the reader of bytes must know. */
const PLAIN_DATA = [
  ...['null', 'true', 'false', '{}', '[]', '[true,false,null]', '{ "a" : [ 1 , 2 ] }', '""'],
  ...['0', '7', '-1', '-1.5', '0.5', '-0.25', '12345678901234', '12345678901234.5'],
  ...['12345678901234567890', '0.1234567890123456789', '1.0000000000000000', '0.00000000000000001'],
  ...['"\\n\\t\\b\\f\\r\\"\\\\"', '"ü😀\u007f\u0085\u2028"', '{"ü":1}', '{"a1":1,"_":2,"":3}'],
  ...['{"a":{"a":[]},"b":{"a":1}}', '[{"a":1},{"a":1}]', '{"__proto__":1,"toJSON":2}'],
  `${'['.repeat(64)}1${']'.repeat(64)}`,
  `${'{"a":'.repeat(64)}1${'}'.repeat(64)}`,
].map((json) => ['data', json] as const);

/** Data that is wrong, or that the slow path writes in another way. */
const OTHER_DATA = [
  ...[
    '1.0',
    '1.50',
    '-0',
    '0.0000001',
    '0.05',
    '1e5',
    '1E5',
    '1e999',
    '01',
    '-01',
    '1.',
    '-',
    '+1',
    '.5',
  ],
  ...['1234567890123.0', '-0.0', `1${'0'.repeat(320)}`, '1.e5', '1.5e3', '1a', '١'],
  ...['"\\/"', '"\\u0041"', '"\\u001b"', '"\\ud83d"', '"\\x"', '"a\nb"', '"\0"', '"', '"\\"'],
  ...[
    '{"a":1,"a":2}',
    '{"a":1,"b":{},"a":2}',
    '{"1":1}',
    '{"1a":1}',
    '{"a\\n":1}',
    '{"\\u0061":1}',
  ],
  ...[
    '{"a":1,}',
    '{,}',
    '{"a"}',
    '{"a":}',
    '{"a" 1}',
    '{a:1}',
    '{"a":1',
    '{"a\n":1}',
    "{'a':1}",
    '{"a:1}',
  ],
  ...[
    '[1,]',
    '[,]',
    '[1',
    '[1 2]',
    '[1}',
    '{"a":1]',
    'tru',
    'trux',
    'nul',
    'falsy',
    'True',
    'undefined',
    '',
  ],
  `${'['.repeat(65)}1${']'.repeat(65)}`,
  `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`,
  `{${Array.from({ length: 65 }, (_, index) => `"a${index}":1`)}}`,
  `[${'{"a":['.repeat(31)}{${Array.from({ length: 65 }, (_, index) => `"a${index}":1`)}}${']}'.repeat(31)}]`,
].map((json) => ['data', json] as const);

const PLAIN_ATTRIBUTES: Readonly<Record<string, string>> = {
  id: `"${'ü'.repeat(512)}"`,
  source: `"${'a'.repeat(1024)}"`,
  type: `"${'a'.repeat(1024)}"`,
  topic: '"a.B_-9"',
  time: '"2026-01-31T12:00:00.123456789+01:00"',
  expires: '"2026-06-01T00:00:01Z"',
  subject: '"für alle, \'42\'"',
  datacontenttype: '"application/json; charset=utf-8"',
  dataschema: '"https://schemas.example/order?v=1"',
  traceparent: `"${TRACEPARENT}"`,
  tracestate: '"a=b"',
  x: '"ü"',
  y1: '""',
  z: 'true',
  w: '-2147483648',
  [`a${'b'.repeat(63)}`]: '"the longest name"',
};

const OTHER_ATTRIBUTES = [
  ['specversion', '"1.1"'],
  ['specversion', '1.0'],
  ['id', '""'],
  ['id', '7'],
  ['id', `"${'a'.repeat(1025)}"`],
  ['id', '"a\u007f"'],
  ['id', '"a\u0085"'],
  ['id', '"a\\n"'],
  ['id', '"a\\u0041"'],
  ['id', '"a\n"'],
  ['source', '"a b"'],
  ['source', '"ü"'],
  ['source', `"${'a'.repeat(1025)}"`],
  ['type', '""'],
  ['type', `"${'a'.repeat(1025)}"`],
  ['type', '"\u0085"'],
  ['topic', '"a b"'],
  ['topic', '"a.ü"'],
  ['topic', '""'],
  ['topic', 'null'],
  ['topic', '"inbox.alice"'],
  ['topic', '"tidemark.records"'],
  ['time', '"soon"'],
  ['time', '"2026-02-30T12:00:00Z"'],
  ['time', 'null'],
  ['expires', '"2026-06-01T00:00:00Z"'],
  ['expires', '"2020-01-01T00:00:00Z"'],
  ['expires', '"never"'],
  ['subject', '""'],
  ['subject', '"\u0085"'],
  ['datacontenttype', '"json"'],
  ['datacontenttype', '"ü/ü"'],
  ['dataschema', '"#"'],
  ['dataschema', '"/relative"'],
  ['data_base64', '"AA=="'],
  ['publisher', '"bob"'],
  ['traceparent', 'true'],
  ['traceparent', '"\u0085"'],
  ['tracestate', '1'],
  ['x', 'null'],
  ['x', '{}'],
  ['x', '[]'],
  ['x', '1.5'],
  ['x', '2147483648'],
  ['x', '-2147483649'],
  ['x', '1e3'],
  ['x', '12345678901234567890'],
  ['x', '"\u0085"'],
  ['x', '"\u007f"'],
  ['x', '"a\\tb"'],
  ['x', 'tru'],
  ['X', '1'],
  ['7', '1'],
  ['7a', '1'],
  ['', '1'],
  ['a_b', '1'],
  ['ä', '1'],
  [`a${'b'.repeat(64)}`, '1'],
] as const;

const runs = { numRuns: process.env.ALL_TESTS === 'yes' ? 20_000 : 1500 };

describe('events that are read from their bytes', () => {
  test('any batch: the events and the errors of the slow path, byte by byte', async () => {
    const check = (bytes: Buffer, isTraced: boolean) =>
      expectSame(BATCH, bytes, isTraced ? traced : context);
    await fc.assert(fc.asyncProperty(body, fc.boolean(), check), runs);
  }, 120_000);

  test('any single event: the same', async () => {
    const check = (text: string, change: { at: number; remove: number; add: Buffer } | null) =>
      expectSame(STRUCTURED, damaged(Buffer.from(text), change));
    await fc.assert(fc.asyncProperty(event, fc.option(damage), check), runs);
  }, 120_000);

  test('the events of these properties: both paths have a good part of them', () => {
    const many = fc.sample(event, { numRuns: 1000, seed: 1 });
    const plain = many.filter((text) => readPlain(text) !== undefined).length;
    expect(plain).toBeGreaterThan(200);
    expect(plain).toBeLessThan(800);
  });

  test.each([...PLAIN_DATA, ...Object.entries(PLAIN_ATTRIBUTES)])(
    '%s %s: read from its bytes, as the slow path reads it',
    async (...named) => {
      const text = textOf(Object.fromEntries([named]));
      expect(readPlain(text)).toBeDefined();
      for (const one of [context, traced]) await expectSame(STRUCTURED, Buffer.from(text), one);
    },
  );

  test.each([...OTHER_DATA, ...OTHER_ATTRIBUTES])(
    '%s %s: left to the slow path',
    async (...named) => {
      const text = textOf(Object.fromEntries([named]));
      expect(readPlain(text)).toBeUndefined();
      for (const one of [context, traced]) await expectSame(STRUCTURED, Buffer.from(text), one);
    },
  );

  test.each(Object.keys(EVENT))('without %s: as the slow path reads it', async (name) => {
    const { [name as keyof typeof EVENT]: _, ...rest } = EVENT;
    await expectSame(STRUCTURED, Buffer.from(JSON.stringify(rest)));
    await expectSame(BATCH, Buffer.from(JSON.stringify([EVENT, rest, EVENT])));
  });

  test('a type that is a topic, and one that is none: becomes the topic, refused', async () => {
    const { topic: _, ...rest } = EVENT;
    expect(readPlain(JSON.stringify(rest))).toMatchObject({ topic: 'order.paid' });
    for (const type of ['not a topic', 'inbox.alice', 'tidemark.records']) {
      expect(readPlain(JSON.stringify({ ...rest, type }))).toBeUndefined();
    }
  });

  test('names that come twice: left to the slow path', async () => {
    for (const name of ['id', 'topic', 'data', 'x']) {
      const text = `${textOf({ data: '1', x: '1' }).slice(0, -1)},"${name}":"2"}`;
      expect(readPlain(text)).toBeUndefined();
      await expectSame(STRUCTURED, Buffer.from(text));
    }
  });

  test('a tracestate without its traceparent: goes where the request has another trace', async () => {
    const text = textOf({ tracestate: '"a=b"' });
    expect(readPlain(text)).toBeDefined();
    expect(readPlain(text, traced)).toBeUndefined();
  });

  test('the largest event, and one byte more: read from its bytes, left to the slow path', async () => {
    const added = Buffer.byteLength(`,"publisher":${JSON.stringify(context.publisher)}`);
    const empty = Buffer.byteLength(textOf({ data: '""' }));
    const sized = (bytes: number) => textOf({ data: `"${'x'.repeat(bytes - empty - added)}"` });
    expect(readPlain(sized(EVENT_BYTES_MAX))?.json.length).toBe(EVENT_BYTES_MAX);
    expect(readPlain(sized(EVENT_BYTES_MAX + 1))).toBeUndefined();
    await expectSame(STRUCTURED, Buffer.from(sized(EVENT_BYTES_MAX + 1)));
  });

  test('more white space than is noted: left to the slow path', async () => {
    const spaced = (runs: number) => textOf({ data: `[${' 1,'.repeat(runs)}1]` });
    expect(readPlain(spaced(4000))).toBeDefined();
    for (const count of [4096, 4097, 5000]) {
      await expectSame(STRUCTURED, Buffer.from(spaced(count)));
    }
  });

  test.each([
    '',
    '[]',
    '[ ]',
    '{}',
    '[}',
    `[${textOf()}`,
    `[${textOf()}]x`,
    `[${textOf()}] \n`,
    `[${textOf()}x]`,
    `[${textOf()}x${textOf()}]`,
    `[${textOf()};${textOf()},${textOf()}]`,
    `[${textOf()},]`,
    `[,${textOf()}]`,
    `[${textOf()}, {"id": "ü"}, ${textOf({ data: '"ü"' })},${textOf()}]`,
    `[${textOf({ data: '1.0', x: '"ü"' })},${textOf({ data: '[1' })},${textOf()}]`,
    `[${textOf()},${textOf({ tracestate: '"a=b"' })},${textOf({ traceparent: '"x"' })}]`,
    `[${Array.from({ length: 5 }, () => textOf())}]`,
    `[${Array.from({ length: 6 }, () => textOf())}]`,
    `[${Array.from({ length: 6 }, () => textOf())}`,
    `[${textOf({ data: '"?"' })}]`,
  ])('batch %j: as the slow path reads it', async (text) => {
    const wrong = Buffer.from(text, 'utf8');
    const at = wrong.indexOf('?');
    if (at >= 0) wrong[at] = 0xff;
    for (const one of [context, traced]) await expectSame(BATCH, wrong, one);
  });
});
