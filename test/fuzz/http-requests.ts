import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { encode, exchangeAll, writeRequest } from './http-exchange.ts';
import { body, cursor, event, headerValue, text, topic, validEvent } from './inputs.ts';
import type { Surface } from './surface.ts';

/* Each request has one fault. Its other parts are valid, so that it reaches the code for the fault. */

const CLOSE: readonly [string, string] = ['Connection', 'close'];

/** The content type that a request claims, rightly or wrongly. */
const claims = fc.constantFrom(
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
);

/** Bodies of any kind for `POST /v1/events`. */
export const bodies: Surface = exchangeAll(
  fc.record({
    claim: fc.oneof({ weight: 9, arbitrary: claims }, { weight: 1, arbitrary: headerValue }),
    body: fc.oneof(body, asJson(event), asJson(fc.array(fc.oneof(event, validEvent)))),
  }),
  ({ claim, body: content }, { token }) => {
    const headers = [CLOSE, ['Content-Type', claim] as const];
    const head = { method: 'POST', target: '/v1/events', headers, token };
    const input = { claim, body: Buffer.from(content).toString('base64') };
    return { service: 'ingest', bytes: writeRequest(head, content), input };
  },
);

function asJson(values: fc.Arbitrary<unknown>): fc.Arbitrary<Uint8Array> {
  return values.map((value) => Buffer.from(JSON.stringify(value)));
}

const value = fc.oneof(
  topic,
  cursor,
  text,
  fc.constantFrom('true', 'asc', 'desc', 'all', 'latest', '1', '1000', '2026-01-31T12:00:00Z'),
);
const parameter = fc.oneof(
  fc.tuple(fc.constantFrom('topics'), fc.oneof(topic, value)),
  fc.tuple(fc.constantFrom('after', 'before', 'atLeast'), fc.oneof(cursor, value)),
  fc.tuple(fc.constantFrom('from', 'to', 'type', 'types', 'source', 'limit', 'order'), value),
  fc.tuple(fc.constantFrom('deliver', 'trace', 'ticket', 'access_token'), value),
  fc.tuple(fc.oneof(fc.constantFrom('__proto__', 'topics[]', 'topics[a]'), text), value),
);
const query = fc
  .tuple(fc.constantFrom('', 'topics=fuzz.a', 'topics=>'), fc.array(parameter, { maxLength: 3 }))
  .map(([first, pairs]) =>
    [first, ...pairs.map(([name, one]) => `${encode(name)}=${encode(one)}`)]
      .filter((part) => part !== '')
      .join('&'),
  );

/** Query strings of every path that reads one. */
export const queries: Surface = exchangeAll(
  fc.record({
    place: fc.constantFrom(
      ['replay', '/v1/events'] as const,
      ['replay', '/v1/topics'] as const,
      ['replay', '/v1/head'] as const,
      ['gateway', '/v1/head'] as const,
      ['gateway', '/v1/sse'] as const,
    ),
    query: fc.oneof({ weight: 9, arbitrary: query }, { weight: 1, arbitrary: text.map(printable) }),
  }),
  ({ place: [service, path], query: asked }, { token }) => {
    const head = { method: 'GET', target: `${path}?${asked}`, headers: [CLOSE], token };
    return { service, bytes: writeRequest(head), input: { path, query: asked } };
  },
);

const HEADER_NAMES = [
  'Content-Type',
  'Accept',
  'If-Match',
  'If-None-Match',
  'Last-Event-ID',
  'ce-id',
  'ce-type',
  'ce-source',
  'ce-specversion',
  'ce-time',
  'ce-__proto__',
  'Origin',
  'X-Forwarded-For',
  'traceparent',
  'Content-Encoding',
  'Transfer-Encoding',
  'Cookie',
  'Authorization',
  'Sec-WebSocket-Protocol',
  'Sec-WebSocket-Extensions',
  'Sec-WebSocket-Key',
  'Upgrade',
];
const header = fc.tuple(
  fc.constantFrom(...HEADER_NAMES),
  fc.oneof(
    claims,
    fc.constantFrom('gzip', '*', '1.0', 'fuzz.a', '/fuzz', 'chunked', 'websocket', 'tidemark.v1'),
    headerValue,
    cursor.map((one) => one.replace(/[\r\n\0]/g, ' ')),
  ),
);

const UPGRADE = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Protocol', 'tidemark.v1'],
] as const;

/** Headers of otherwise valid requests, also of WebSocket handshakes. */
export const headers: Surface = exchangeAll(
  fc.record({
    place: fc.constantFrom(
      ['ingest', 'POST', '/v1/events'] as const,
      ['replay', 'GET', '/v1/events?limit=1'] as const,
      ['gateway', 'GET', '/v1/sse?topics=fuzz.a'] as const,
      ['gateway', 'GET', '/v1/ws'] as const,
      ['gateway', 'POST', '/v1/tickets'] as const,
    ),
    headers: fc.array(header, { minLength: 1, maxLength: 5 }),
    without: fc.option(fc.constantFrom(...UPGRADE.map(([name]) => name)), { freq: 5 }),
    many: fc.oneof(
      { weight: 30, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat(3000) },
    ),
  }),
  ({ place: [service, method, target], headers: fields, without, many }, { token }) => {
    const key = ['Sec-WebSocket-Key', randomBytes(16).toString('base64')] as const;
    const upgrade = [...UPGRADE, key].filter(([name]) => name !== without);
    const flood = Array.from({ length: many }, (_, n) => [`X-${n}`, String(n)] as const);
    // Without these two it would be an ordinary request, and the socket would stay open.
    const upgrades = target === '/v1/ws' && without !== 'Connection' && without !== 'Upgrade';
    const all = [...(upgrades ? upgrade : [CLOSE]), ...flood, ...fields];
    const content = method === 'POST' ? Buffer.from('{"type":"fuzz.a","data":1}') : undefined;
    const bytes = writeRequest({ method, target, headers: all, token }, content);
    return { service, bytes, input: { method, target, headers: fields, without, many } };
  },
);

const target = fc.oneof(
  fc
    .tuple(fc.constantFrom('/v1/events', '/v1/topics', '/v1/sse', '/v1/ws', '/healthz'), query)
    .map(([path, rest]) => `${path}?${rest}`),
  fc.constant('/v1/events'),
  cursor.map((one) => `/v1/events/${encode(one)}`),
  text.map((one) => `/${printable(one)}`),
  fc.constantFrom('*', '/v1/%', '/v1/events/%ff', '//', '/v1/../v1/events', 'http://a/v1/events'),
);

/** Requests to any path, and bytes that are not a request. */
export const requests: Surface = exchangeAll(
  fc.record({
    service: fc.constantFrom('gateway' as const, 'ingest' as const, 'replay' as const),
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('GET', 'POST') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'FOO', 'get', ''),
      },
    ),
    target,
    headers: fc.array(header, { maxLength: 3 }),
    body,
    /** Random bytes before or instead of a request. */
    raw: fc.oneof(
      { weight: 15, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
      { weight: 1, arbitrary: text.map((one) => Buffer.from(one)) },
    ),
    token: fc.oneof(
      { weight: 6, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: headerValue },
    ),
  }),
  (one, system) => {
    const { service, method } = one;
    const head = {
      method,
      target: one.target,
      headers: [CLOSE, ...one.headers],
      token: one.token ?? system.token,
    };
    const request = writeRequest(head, method === 'POST' ? one.body : undefined);
    const bytes = Buffer.concat([one.raw ?? Buffer.alloc(0), request]);
    return { service, bytes, input: { service, bytes: bytes.toString('base64') } };
  },
);

function printable(one: string): string {
  return one.replace(/[^!-~]/g, '');
}
