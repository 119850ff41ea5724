import type { Msg } from '@nats-io/transport-node';
import { headers as natsHeaders } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDeliveryBytes, recordOf } from './delivered-message.ts';
import { PlainHeaders } from './plain-headers.ts';
import { parseDelivery, readHeaders, toRecord } from './records.ts';
import { newSealMetadata, SEAL_HEADER, StreamSeal } from './seal.ts';
import { Subjects } from './subjects.ts';

type Headers = ReadonlyMap<string, string>;

/** The decoder of the NATS client, which it keeps to itself. */
const MsgHdrs = natsHeaders().constructor as unknown as {
  decode(bytes: Uint8Array): NonNullable<Msg['headers']>;
};

function decode(bytes: Uint8Array): Headers {
  return readHeaders({ headers: MsgHdrs.decode(bytes) });
}

/** The headers as they are read without decoding; the payload behind them must make no difference. */
function readPlain(block: Uint8Array): PlainHeaders | undefined {
  const message = {
    get headers() {
      return MsgHdrs.decode(block);
    },
  };
  return PlainHeaders.read(Buffer.concat([block, Buffer.from('{}')]), block.length, message);
}

const SEAL = 'abcdefghijklmnopqrst-_';
const ASKED = [
  SEAL_HEADER,
  'traceparent',
  'tracestate',
  'content-type',
  'nats-msg-id',
  'ce-id',
  'x',
];

const OURS = [
  `${SEAL_HEADER}: ${SEAL}`,
  'Nats-Msg-Id: 0123456789abcdefghij-_',
  'content-type: application/cloudevents+json',
  'Nats-Expected-Last-Subject-Sequence: 17',
  'Nats-Batch-Id: b1',
  'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'tracestate: a=b',
];

const name = fc.oneof(
  fc.constantFrom(
    SEAL_HEADER,
    'Tidemark-Seal',
    'Nats-Msg-Id',
    'nats-msg-id',
    'Nats-',
    'traceparent',
  ),
  fc.constantFrom('TraceParent', 'content-type', 'ce-id', 'x', '', 'a b', 'Nats-ä', 'Nats-\u007f'),
);
const value = fc.oneof(
  fc.constantFrom(
    SEAL,
    SEAL.slice(1),
    `${SEAL}=`,
    ` ${SEAL}`,
    `${SEAL} `,
    '',
    ' ',
    'a\tb',
    'ü',
    'a: b',
  ),
  fc.string(),
);
const line = fc.oneof(
  fc.constantFrom(...OURS),
  fc.tuple(name, fc.constantFrom(': ', ':', ' : ', ':  '), value).map((parts) => parts.join('')),
  fc.string(),
);
const block = fc
  .tuple(
    fc.constantFrom('NATS/1.0', 'NATS/1.0', 'NATS/1.0', 'NATS/1.0 100 Idle', 'NATS/1.1'),
    fc.array(line, { maxLength: 6 }),
    fc.constantFrom('\r\n', '\r\n', '\r\n', '\n'),
    fc.constantFrom('\r\n\r\n', '\r\n\r\n', '\r\n', '\r\n\r\n\r\n', ''),
  )
  .map(([status, lines, between, end]) => Buffer.from([status, ...lines].join(between) + end));

/** One byte of a block that services write is another. */
const almost = fc
  .tuple(fc.shuffledSubarray(OURS), fc.nat(), fc.integer({ min: 0, max: 255 }))
  .map(([lines, at, byte]) => {
    const bytes = Buffer.from(`${['NATS/1.0', ...lines].join('\r\n')}\r\n\r\n`);
    bytes[at % bytes.length] = byte;
    return bytes;
  });

describe('headers that are not decoded', () => {
  test('those that services write: are read so, and are what the client decodes', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(OURS), (lines) => {
        const bytes = Buffer.from(`${['NATS/1.0', ...lines].join('\r\n')}\r\n\r\n`);
        expect(readPlain(bytes)).toBeDefined();
        expect([...(readPlain(bytes) ?? [])]).toEqual([...decode(bytes)]);
      }),
    );
  });

  test('any bytes: are read so only where the client decodes them, and mean the same', () => {
    fc.assert(
      fc.property(fc.oneof(block, almost), (bytes) => {
        const plain = readPlain(bytes);
        if (!plain) return;
        const decoded = decode(bytes);
        for (const one of ASKED) {
          expect(plain.get(one)).toBe(decoded.get(one));
          expect(plain.has(one)).toBe(decoded.has(one));
        }
        expect(plain.size).toBe(decoded.size);
        expect([...plain.keys()]).toEqual([...decoded.keys()]);
        expect([...plain.values()]).toEqual([...decoded.values()]);
        expect([...plain.entries()]).toEqual([...decoded.entries()]);
        const visited: string[] = [];
        plain.forEach((text, key) => void visited.push(`${key}=${text}`));
        expect(visited).toEqual([...decoded].map((entry) => entry.join('=')));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('numbers of a delivery', () => {
  const token = fc.oneof(
    fc.nat().map(String),
    fc.constantFrom('TIDEMARK_EVENTS', '$JS', 'ACK', '', '-1', '1e3', ' 7', '0x1', '007'),
    fc.constantFrom('1764267000123456789', '999999999999999999', '12', '9007199254740993'),
  );

  test('any reply: what is read from the bytes is what is read from the text', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 13 }), (tokens) => {
        const reply = tokens.join('.');
        const fromBytes = parseDeliveryBytes(Buffer.from(reply));
        if (fromBytes) expect(fromBytes).toEqual(parseDelivery(reply));
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    '$JS.ACK.TIDEMARK_EVENTS.name.1.17.23.1764267000123456789.5',
    '$JS.ACK.hub.HASH.TIDEMARK_EVENTS.name.1.17.23.1764267000123456789.5',
    '$JS.ACK.hub.HASH.TIDEMARK_EVENTS.name.1.17.23.1764267000123456789.5.token',
  ])('%s: is read from the bytes', (reply) => {
    expect(parseDeliveryBytes(Buffer.from(reply))).toEqual({
      streamSequence: 17,
      consumerSequence: 23,
      timeMs: 1764267000123,
      pending: 5,
    });
  });
});

describe('subjects', () => {
  test('any subjects, again and again: are what is decoded, and decoded once', () => {
    const subjects = new Subjects();
    const text = fc.oneof(
      fc
        .stringMatching(/^[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}$/)
        .map((topic) => `tidemark.events.${topic}`),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 50 }), (texts) => {
        for (const one of [...texts, ...texts]) {
          const found = subjects.find(Buffer.from(one), () => one);
          expect(found.text).toBe(one);
        }
      }),
    );
    const bytes = Buffer.from('tidemark.events.orders.7');
    const first = subjects.find(bytes, () => bytes.toString());
    expect(first.topic).toBe('orders.7');
    const never = () => {
      throw new Error('decoded');
    };
    const again = Buffer.from(bytes);
    bytes.fill(0);
    expect(subjects.find(again, never)).toBe(first);
  });

  test('subjects that share a place: each is found as itself', () => {
    const subjects = new Subjects();
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 100_000; n++) {
        const text = `tidemark.events.t.${n}`;
        expect(subjects.find(Buffer.from(text), () => text).topic).toBe(`t.${n}`);
      }
    }
  });
});

describe('records of delivered messages', () => {
  const seal = new StreamSeal();
  seal.learn(newSealMetadata(1000));
  const stored = fc.record({
    payload: fc.string(),
    timeMs: fc.constantFrom(1, 1000, 2000),
    sealed: fc.constantFrom('right', 'of another payload', 'none'),
  });

  test('any message: what is read when it is asked for is what is read at once', () => {
    fc.assert(
      fc.property(stored, ({ payload, timeMs, sealed }) => {
        const subject = 'tidemark.events.a.b';
        const data = Buffer.from(payload);
        const headers = natsHeaders();
        const other = Buffer.from(`${payload} `);
        if (sealed === 'right') headers.set(SEAL_HEADER, seal.sign({ subject, payload: data }));
        if (sealed === 'of another payload') {
          headers.set(SEAL_HEADER, seal.sign({ subject, payload: other }));
        }
        const record = recordOf(
          { subject, data, headers } as unknown as Msg,
          { text: subject, topic: 'a.b' },
          { streamSequence: 7, consumerSequence: 1, timeMs, pending: 0 },
          seal,
        );
        const expected = toRecord({ sequence: 7, timeMs, subject, data, headers }, seal);
        const { sequence, topic, payload: bytes, trust } = record;
        expect({ sequence, timeMs: record.timeMs, subject: record.subject, topic, trust }).toEqual({
          ...{ sequence: 7, timeMs, subject, topic: 'a.b', trust: expected.trust },
        });
        expect(bytes).toBe(data);
        expect([...record.headers]).toEqual([...expected.headers]);
        expect(trust === 'sealed').toBe(sealed === 'right');
      }),
    );
  });
});
