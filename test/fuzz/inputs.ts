import fc from 'fast-check';

/* Inputs of strangers: half are well-formed except for one fault, the others are random. */

/** Text that breaks lines, fields, strings or time limits where code does not treat it with care. */
const NASTY = [
  '',
  '\r',
  '\n',
  '\r\n\r\n',
  '\0',
  '\u2028',
  '\ufeff',
  '\ud800',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '%00',
  '%0d%0aSet-Cookie: a=b',
  '\n\ndata: injected\n\n',
  '"}\n{"',
  '>',
  '*',
  '$SYS.>',
  '$JS.API.STREAM.DELETE.TIDEMARK_EVENTS',
  '-1',
  '1e999',
  '9'.repeat(400),
  'a'.repeat(5000),
  'a.'.repeat(120),
  '>.'.repeat(20),
];

export const nasty = fc.constantFrom(...NASTY);

export const text = fc.oneof(
  nasty,
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc.tuple(nasty, nasty).map(([left, right]) => left + right),
);

const segment = fc.constantFrom('orders', 'user', '42', 'a_b', 'x-1', '*', '>', '');
const topicLike = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'));
export const topic = fc.oneof(fc.constantFrom('fuzz.a', 'fuzz.b.c', '>'), topicLike, text);

export const cursor = fc.oneof(
  fc.constantFrom(
    'latest',
    'earliest',
    'last',
    '0-5~3',
    '2026-01-31T12:00:00Z',
    '2026-02-30T12:00:00Z',
    '0-0',
  ),
  fc
    .tuple(fc.stringMatching(/^[a-z0-9.]{0,45}$/), fc.maxSafeNat())
    .map(([epoch, sequence]) => `${epoch}-${sequence}`),
  text,
);

/** Any JSON value, also with keys that would change prototypes. */
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 3, noUnicodeString: false }),
  text,
  fc.dictionary(fc.oneof(nasty, fc.string({ maxLength: 8 })), fc.oneof(text, fc.integer()), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
);

const attribute = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: json });

/** An event with some valid attributes and other random ones. */
export const event = fc.record(
  {
    specversion: fc.oneof(
      { weight: 5, arbitrary: fc.constant('1.0') },
      { weight: 1, arbitrary: json },
    ),
    id: fc.oneof({ weight: 3, arbitrary: fc.uuid() }, { weight: 1, arbitrary: attribute }),
    source: fc.oneof(
      { weight: 3, arbitrary: fc.constant('/fuzz') },
      { weight: 1, arbitrary: attribute },
    ),
    type: fc.oneof(
      { weight: 3, arbitrary: fc.constant('fuzz.a') },
      { weight: 1, arbitrary: attribute },
    ),
    topic: fc.oneof(
      { weight: 3, arbitrary: fc.constant('fuzz.a') },
      { weight: 1, arbitrary: topic },
    ),
    time: attribute,
    subject: attribute,
    datacontenttype: attribute,
    dataschema: attribute,
    data: json,
    data_base64: attribute,
    extension: json,
  },
  { requiredKeys: ['type'], noNullPrototype: true },
);

/** An event that has to be accepted, whatever its content. */
export const validEvent = fc.record(
  {
    specversion: fc.constant('1.0'),
    id: fc.uuid(),
    source: fc.constant('/fuzz'),
    type: fc.constant('fuzz.a'),
    topic: fc.constant('fuzz.a'),
    subject: fc.string({ minLength: 1, maxLength: 30 }),
    data: json,
    extension: fc.oneof(fc.string({ maxLength: 20 }), fc.boolean()),
  },
  { requiredKeys: ['specversion', 'id', 'source', 'type', 'topic'], noNullPrototype: true },
);

/** JSON text with faults that JSON.stringify never writes. */
function spoil(valid: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const whole = valid.map((value) => JSON.stringify(value) ?? 'undefined');
  return fc.oneof(
    { weight: 6, arbitrary: whole },
    // Cut off, doubled, with a key twice, with __proto__, with a number that is too large.
    { weight: 1, arbitrary: fc.tuple(whole, fc.nat(200)).map(([one, end]) => one.slice(0, end)) },
    { weight: 1, arbitrary: whole.map((one) => one + one) },
    { weight: 1, arbitrary: whole.map((one) => one.replace('{', '{"type":"ping","type":7,')) },
    {
      weight: 1,
      arbitrary: whole.map((one) => one.replace('{', '{"__proto__":{"admin":true,"polluted":1},')),
    },
    { weight: 1, arbitrary: whole.map((one) => one.replace(/"[^"]*"/, '1e99999')) },
    {
      weight: 1,
      arbitrary: fc
        .nat(20_000)
        .map((depth) => `{"type":"publish","id":"d","event":${'['.repeat(depth)}`),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 50, max: 3000 }).map((depth) => {
        const data = '['.repeat(depth) + ']'.repeat(depth);
        return `{"type":"publish","id":"d","event":{"type":"fuzz.a","data":${data}}}`;
      }),
    },
    { weight: 1, arbitrary: text },
  );
}

/** One text message of a WebSocket client. */
export const message = spoil(
  fc.oneof(
    fc.record(
      {
        type: fc.oneof(
          fc.constantFrom('subscribe', 'unsubscribe', 'publish', 'authenticate', 'ping'),
          text,
        ),
        id: fc.oneof(fc.constantFrom('1', '2', '3'), text, json),
        topics: fc.oneof(fc.array(topic, { maxLength: 4 }), json),
        types: fc.oneof(fc.array(fc.oneof(topic, text), { maxLength: 4 }), json),
        after: fc.oneof(cursor, json),
        atLeast: fc.oneof(cursor, json),
        deliver: fc.oneof(fc.constantFrom('all', 'latest'), text),
        trace: fc.oneof(fc.boolean(), text),
        token: text,
        event,
      },
      { requiredKeys: ['type'], noNullPrototype: true },
    ),
    fc
      .tuple(
        fc.constantFrom('1', '2', '3'),
        fc.array(topic, { minLength: 1, maxLength: 3 }),
        cursor,
      )
      .map(([id, topics, after]) => ({ type: 'subscribe', id, topics, after })),
    fc.constantFrom('1', '2', '3').map((id) => ({ type: 'unsubscribe', id })),
    fc.oneof(event, validEvent).map((one) => ({ type: 'publish', id: 'p', event: one })),
    json,
  ),
);

/** Bodies of `POST /v1/events` and messages on the events subject. */
export const body: fc.Arbitrary<Uint8Array> = fc.oneof(
  spoil(fc.oneof(event, validEvent, fc.array(validEvent, { maxLength: 3 }))).map((one) =>
    Buffer.from(one),
  ),
  fc.uint8Array({ maxLength: 200 }),
);

/** The values of HTTP headers that a client can write itself. */
export const headerValue = fc.oneof(
  { weight: 19, arbitrary: text.map((one) => one.replace(/[^\x20-\x7e\x80-\xff]/g, '?')) },
  { weight: 1, arbitrary: text.map((one) => one.replace(/[\r\n\0]/g, ' ')) },
);

/** Frames that RFC 6455 allows or forbids, with any opcode, length, mask and payload. */
export const frame: fc.Arbitrary<Uint8Array> = mostly<Uint8Array>(
  fc
    .record({
      first: fc.oneof(
        { weight: 12, arbitrary: fc.constantFrom(0x81, 0x81, 0x82, 0x89, 0x8a, 0x88) },
        { weight: 2, arbitrary: fc.constantFrom(0x01, 0x00, 0x80) },
        { weight: 1, arbitrary: fc.nat(255) },
      ),
      masked: mostly<boolean>(fc.constant(true), fc.constant(false)),
      claimed: mostly<number | null>(
        fc.constant(null),
        fc.constantFrom(0, 1, 125, 126, 65_535, 65_536, 2 ** 31, 2 ** 53),
      ),
      payload: fc.oneof(
        message.map((one) => Buffer.from(one)),
        fc.uint8Array({ maxLength: 125 }),
      ),
    })
    .map(toFrame),
  fc.uint8Array({ maxLength: 60 }),
);

function mostly<T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: rare });
}

function toFrame(parts: {
  readonly first: number;
  readonly masked: boolean;
  readonly claimed: number | null;
  readonly payload: Uint8Array;
}): Uint8Array {
  const { first, masked, payload } = parts;
  const length = parts.claimed ?? payload.length;
  const bit = masked ? 0x80 : 0;
  let head: Buffer;
  if (length < 126) head = Buffer.from([first, bit | length]);
  else if (length < 65_536) {
    head = Buffer.from([first, bit | 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.alloc(10);
    head.set([first, bit | 127]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}
