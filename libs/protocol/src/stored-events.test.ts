import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeEvent, parseEvent } from './events.ts';
import { type DecodedEvent, decodeStored } from './stored-events.ts';

const NO_HEADERS = new Map<string, string>();
const EVENT = { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 'a.b' };

function read(payload: Uint8Array | string, headers = NO_HEADERS): DecodedEvent {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return decodeStored({ topic: 'a.b', payload: bytes, headers });
}

describe('stored events', () => {
  test('message of ingest: any data: valid, and its bytes are those that were stored', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (data) => {
        const payload = encodeEvent(parseEvent({ ...EVENT, data }));
        const stored = read(payload);
        expect(stored.valid && stored.json).toBe(payload);
      }),
    );
  });

  test('message with a sampled context, without: the event names it, its bytes are those stored', () => {
    const payload = encodeEvent(parseEvent(EVENT));
    const context = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'a=1' };
    const sampled = read(payload, new Map(Object.entries(context)));
    expect(sampled).toMatchObject({ valid: true, event: { ...EVENT, ...context } });
    expect(sampled.valid && JSON.parse(Buffer.from(sampled.json).toString())).toMatchObject(
      context,
    );
    const unsampled = context.traceparent.replace(/01$/, '00');
    const other = read(payload, new Map([['traceparent', unsampled]]));
    expect(other.valid && other.json).toBe(payload);
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
        expect(parseEvent(JSON.parse(line))).toEqual(stored.event);
        expect(stored.event.topic).toBe('a.b');
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
    expect(read('{"n": 1}', headers)).toMatchObject({
      valid: true,
      event: { id: '€', source: '/s', type: 'quoted "type"', topic: 'a.b', data: { n: 1 } },
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
    expect(read('hé', typed('text/plain'))).toMatchObject({ event: { data: 'hé' } });
    expect(read(Uint8Array.of(0, 255), typed('image/png'))).toMatchObject({
      event: { data_base64: 'AP8=' },
    });
    const empty = read('', headers);
    expect(empty.valid && 'data' in empty.event).toBe(false);
    expect(empty.valid).toBe(true);
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
