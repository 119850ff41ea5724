import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CloudEvent, encodeEvent, parseEvent } from './events.ts';
import { type DecodedEvent, decodeStored, type Trust } from './stored-events.ts';

const NO_HEADERS = new Map<string, string>();
const EVENT = { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 'a.b' };

function read(
  payload: Uint8Array | string,
  headers = NO_HEADERS,
  trust: Trust = 'none',
): DecodedEvent {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return decodeStored({ topic: 'a.b', payload: bytes, headers, trust });
}

function eventIn(stored: DecodedEvent): CloudEvent | undefined {
  return stored.valid ? JSON.parse(Buffer.from(stored.json).toString()) : undefined;
}

describe('stored events', () => {
  test('message of ingest: any data: sealed, its bytes are those stored; without a seal, they are equal', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (data) => {
        const payload = encodeEvent(parseEvent({ ...EVENT, data }));
        const stored = read(payload, NO_HEADERS, 'sealed');
        expect(stored.valid && stored.json).toBe(payload);
        const other = read(payload);
        expect(other.valid && Buffer.compare(other.json, payload)).toBe(0);
      }),
    );
  });

  test('publisher: with a seal or from before there were seals: kept; otherwise removed', () => {
    const payload = JSON.stringify({ ...EVENT, publisher: 'alice' });
    expect(eventIn(read(payload, NO_HEADERS, 'sealed'))?.publisher).toBe('alice');
    expect(eventIn(read(payload, NO_HEADERS, 'earlier'))?.publisher).toBe('alice');
    expect(eventIn(read(payload))).toEqual(EVENT);
  });

  test('a topic of the servers: an event with a seal, and none without', () => {
    const payload = Buffer.from(JSON.stringify({ ...EVENT, topic: 'tidemark.erasures' }));
    const parts = { topic: 'tidemark.erasures', payload, headers: NO_HEADERS };
    expect(decodeStored({ ...parts, trust: 'sealed' }).valid).toBe(true);
    for (const trust of ['earlier', 'none'] as const) {
      expect(decodeStored({ ...parts, trust })).toMatchObject({
        valid: false,
        reason: expect.stringContaining('reserved'),
      });
    }
  });

  test('without a seal: what section 3 forbids: a reason; what readers may read differently: gone', () => {
    const text = JSON.stringify(EVENT);
    const withData = (json: string) => text.replace('}', `,"data":${json}}`);
    const forbidden = [
      withData('['.repeat(60_000) + ']'.repeat(60_000)),
      withData('[1e999]'),
      withData('"\\ud800"'),
      withData('{"\\udfff":1}'),
    ];
    for (const trust of ['none', 'earlier'] as const) {
      for (const payload of forbidden) {
        expect(read(payload, NO_HEADERS, trust)).toMatchObject({ valid: false });
      }
      const twice = text.replace('{', '{"topic":"someone.elses","id":"other",');
      const stored = read(twice, NO_HEADERS, trust);
      expect(eventIn(stored)).toEqual(EVENT);
      expect(stored.valid && Buffer.from(stored.json).toString().split('"topic"')).toHaveLength(2);
    }
  });

  test('message with a sampled context, without: the event names it, its bytes are those stored', () => {
    const payload = encodeEvent(parseEvent(EVENT));
    const context = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'a=1' };
    const headers = new Map(Object.entries(context));
    for (const trust of ['none', 'sealed'] as const) {
      expect(eventIn(read(payload, headers, trust))).toEqual({ ...EVENT, ...context });
    }
    const unsampled = context.traceparent.replace(/01$/, '00');
    const other = read(payload, new Map([['traceparent', unsampled]]), 'sealed');
    expect(other.valid && other.json).toBe(payload);
    const own = encodeEvent(parseEvent({ ...EVENT, traceparent: unsampled }));
    const kept = read(own, headers, 'sealed');
    expect(kept.valid && kept.json).toBe(own);
  });

  test('message: any bytes: a reason, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (payload) => {
        const stored = read(payload);
        expect(stored.valid || stored.reason.length > 0).toBe(true);
      }),
    );
  });

  test('message: any headers and JSON: what is valid is one line with the topic of its subject', () => {
    const headers = fc.dictionary(
      fc.constantFrom(
        'ce-specversion',
        'ce-id',
        'ce-source',
        'ce-type',
        'ce-topic',
        'ce-x',
        'content-type',
      ),
      fc.constantFrom('1.0', 'a', '/s', 'text/plain', 'application/json', '%41', '"q\\"', '%', ''),
    );
    fc.assert(
      fc.property(headers, fc.json(), (given, json) => {
        const stored = read(json, new Map(Object.entries(given)));
        if (!stored.valid) return;
        const line = Buffer.from(stored.json).toString();
        expect(line).not.toMatch(/[\r\n]/);
        expect(parseEvent(JSON.parse(line)).topic).toBe('a.b');
      }),
      { numRuns: 1000 },
    );
  });

  test('structured: other topic, several lines, a byte order mark: one line with the right topic', () => {
    const payloads = [
      JSON.stringify({ ...EVENT, topic: 'someone.elses' }),
      JSON.stringify(EVENT, null, 2),
      `\ufeff${JSON.stringify(EVENT)}`,
      ` ${JSON.stringify(EVENT)}`,
    ];
    for (const payload of payloads) {
      const stored = read(payload);
      expect(stored.valid && Buffer.from(stored.json).toString()).toBe(JSON.stringify(EVENT));
    }
  });

  test('binary mode: attributes in headers, data in the payload: the same event', () => {
    const headers = new Map([
      ['ce-specversion', '1.0'],
      ['ce-id', '%E2%82%AC'],
      ['ce-source', '/s'],
      ['ce-type', '"quoted \\"type\\""'],
      ['content-type', 'application/json'],
    ]);
    expect(eventIn(read('{"n": 1}', headers))).toMatchObject({
      id: '€',
      source: '/s',
      type: 'quoted "type"',
      topic: 'a.b',
      data: { n: 1 },
    });
  });

  test('binary mode: text, bytes and nothing as payload: data, data_base64, none', () => {
    const headers = new Map([
      ['ce-specversion', '1.0'],
      ['ce-id', '1'],
      ['ce-source', '/s'],
      ['ce-type', 't'],
    ]);
    const typed = (type: string) => new Map([...headers, ['content-type', type]]);
    expect(eventIn(read('hé', typed('text/plain')))?.data).toBe('hé');
    const bytes = eventIn(read(Uint8Array.of(0, 255), typed('image/png')));
    expect(bytes?.data_base64).toBe('AP8=');
    const empty = eventIn(read('', headers));
    expect(empty).toBeDefined();
    expect(empty).not.toHaveProperty('data');
  });

  test('message: no JSON, no event, not UTF-8: each its reason', () => {
    expect(read('{')).toEqual({ valid: false, reason: 'not JSON in UTF-8' });
    expect(read(Uint8Array.of(123, 34, 255, 34, 125))).toMatchObject({ valid: false });
    expect(read('{"id":"1"}')).toMatchObject({
      valid: false,
      reason: expect.stringMatching('specversion is missing'),
    });
    expect(read('null')).toMatchObject({ valid: false });
  });
});
