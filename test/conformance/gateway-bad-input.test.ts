import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { metric, type System, startSystem, streamState } from '../support/system.ts';
import { until } from '../support/until.ts';
import type { Message, WebSocketClient } from '../support/web-socket-client.ts';
import { closeCode, maskedFrame, openBareSocket, refusedUpgrade } from './bare-sockets.ts';

/* PROTOCOL.md sections 6, 7 and 9: what clients get wrong, and what they are told. */

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_MESSAGE_BYTES_MAX: '300000' } });
});
afterAll(() => system.stop());

// Whatever a test sends: nothing of it is stored, and the gateway is well.
afterEach(async () => {
  expect((await streamState(system.nats.url)).last).toBe(0);
  expect((await fetch(`${system.gateway.url}/readyz`)).status).toBe(200);
  expect(system.gateway.logs.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});

type ErrorMessage = Extract<Message, { type: 'error' }>;

/** Sends what is wrong, then something right: the connection has outlived it. */
async function refusal(client: WebSocketClient, wrong: object | string | Uint8Array) {
  await client.first('welcome');
  client.send(wrong);
  await client.first('error');
  client.send({ type: 'ping' });
  await client.first('pong');
  expect(client.messages.map(({ type }) => type)).toEqual(['welcome', 'error', 'pong']);
  const [error] = client.all('error') as [ErrorMessage];
  await client.close();
  return error;
}

const good = { specversion: '1.0', id: '1', source: '/bad', type: 'bad.input' };
const subscribe = { type: 'subscribe', id: 's', topics: ['a'] };

describe('WebSocket, messages that are wrong', () => {
  test.each<[string, object | string | Uint8Array, string, RegExp]>([
    ['no JSON', '{"type":', 'invalid_json', /not JSON/],
    ['empty', '', 'invalid_json', /not JSON/],
    ['an array', '[]', 'invalid_message', /\$/],
    ['a number', '7', 'invalid_message', /\$/],
    ['null', 'null', 'invalid_message', /\$/],
    ['no type', { id: 'x' }, 'invalid_message', /type/],
    ['an unknown type', { type: 'shout', id: 'x' }, 'invalid_message', /type/],
    ['a message of the server', { type: 'event', cursor: 'a-1' }, 'invalid_message', /type/],
    ['binary', new TextEncoder().encode(JSON.stringify(subscribe)), 'invalid_message', /binary/],
    ['a field too many', { ...subscribe, topic: 'a' }, 'invalid_message', /topic/],
    ['no id', { type: 'subscribe', topics: ['a'] }, 'invalid_message', /id/],
    ['an empty id', { ...subscribe, id: '' }, 'invalid_message', /id/],
    ['a long id', { ...subscribe, id: 'x'.repeat(65) }, 'invalid_message', /id/],
    ['an id that is a number', { ...subscribe, id: 7 }, 'invalid_message', /id/],
    ['topics that are text', { ...subscribe, topics: 'a' }, 'invalid_message', /topics/],
    ['a topic that is a number', { ...subscribe, topics: [7] }, 'invalid_message', /topics.0/],
    ['types that are text', { ...subscribe, types: 'a' }, 'invalid_message', /types/],
    ['types that are null', { ...subscribe, types: null }, 'invalid_message', /types/],
    ['no types', { ...subscribe, types: [] }, 'invalid_message', /types: must have 1 to 100/],
    ['101 types', { ...subscribe, types: names(101) }, 'invalid_message', /1 to 100/],
    ['an empty type', { ...subscribe, types: [''] }, 'invalid_message', /empty/],
    ['a * inside a type', { ...subscribe, types: ['a*b'] }, 'invalid_message', /at the end/],
    ['8,193 bytes', { ...subscribe, types: ['a'.repeat(8193)] }, 'invalid_message', /8192 bytes/],
    ['a token that is none', { type: 'authenticate', token: 'x' }, 'unauthenticated', /token/i],
    ['an empty token', { type: 'authenticate', token: '' }, 'invalid_message', /token/],
  ])('message: %s: error, and the connection goes on', async (_, wrong, code, message) => {
    const error = await refusal(system.open(), wrong);
    expect(error).toMatchObject({ code, retryable: false });
    expect(error.message).toMatch(message);
  });

  test.each<[string, object, string, RegExp]>([
    ['no topics', { topics: [] }, 'invalid_pattern', /at least one/],
    ['101 topics', { topics: names(101) }, 'invalid_pattern', /101 .* 100/],
    ['an empty topic', { topics: [''] }, 'invalid_pattern', /""/],
    ['a wildcard inside a token', { topics: ['a.b*'] }, 'invalid_pattern', /"a.b\*"/],
    ['> before the end', { topics: ['>.a'] }, 'invalid_pattern', />/],
    ['an empty token', { topics: ['a..b'] }, 'invalid_pattern', /"a..b"/],
    ['white space', { topics: ['a b'] }, 'invalid_pattern', /"a b"/],
    ['17 tokens', { topics: [`${'a.'.repeat(16)}a`] }, 'invalid_pattern', /16 tokens/],
    ['201 bytes', { topics: ['a'.repeat(201)] }, 'invalid_pattern', /200 bytes/],
    ['a cursor that is none', { after: 'yesterday' }, 'invalid_cursor', /"yesterday"/],
    ['a cursor with a sign', { after: 'abc--1' }, 'invalid_cursor', /"abc--1"/],
    ['a huge sequence', { after: 'abc-9999999999999999' }, 'invalid_cursor', /not a cursor/],
    ['an impossible date', { after: '2026-02-30T00:00:00Z' }, 'invalid_time', /2026-02-30/],
    ['a time without a zone', { after: '2026-01-01T00:00:00' }, 'invalid_time', /RFC 3339/],
  ])('subscribe: %s: error with its id, no subscription', async (_, wrong, code, message) => {
    const error = await refusal(system.open(), { ...subscribe, ...wrong });
    expect(error).toMatchObject({ id: 's', code, retryable: false });
    expect(error.message).toMatch(message);
  });

  test.each<[string, unknown, string, string[]]>([
    ['no event', undefined, 'invalid_message', ['event']],
    ['text', 'hello', 'invalid_event', ['event']],
    ['an array', [good], 'invalid_event', ['event']],
    ['no type', {}, 'invalid_event', ['event.type']],
    ['a wrong version', { ...good, specversion: '0.3' }, 'invalid_event', ['event.specversion']],
    [
      'three faults',
      { ...good, time: 'now', source: 'a b', id: '' },
      'invalid_event',
      ['event.id', 'event.source', 'event.time'],
    ],
    ['a name with capitals', { ...good, traceId: 'x' }, 'invalid_event', ['event.traceId']],
    [
      'data twice',
      { ...good, data: 1, data_base64: 'AA==' },
      'invalid_event',
      ['event.data_base64'],
    ],
    ['a topic with a wildcard', { ...good, topic: 'a.*' }, 'invalid_event', ['event.topic']],
    ['a type that is no topic', { ...good, type: 'a b' }, 'invalid_topic', ['event.topic']],
  ])('publish: %s: error with its id, each fault with its path', async (_, event, code, paths) => {
    const error = await refusal(system.open(), { type: 'publish', id: 'p', event });
    expect(error).toMatchObject({ id: 'p', code, retryable: false });
    expect(error.faults?.map(({ path }) => path).sort()).toEqual(paths);
  });

  test('publish: larger than an event may be: too_large', async () => {
    const event = { ...good, data: 'x'.repeat(270_000) };
    const error = await refusal(system.open(), { type: 'publish', id: 'p', event });
    expect(error).toMatchObject({ id: 'p', code: 'too_large' });
  });

  test('unsubscribe: no such subscription: not_found', async () => {
    const error = await refusal(system.open(), { type: 'unsubscribe', id: 'nobody' });
    expect(error).toMatchObject({ id: 'nobody', code: 'not_found' });
  });

  test('subscribe: an id that is in use: conflict, and the first one stays', async () => {
    const client = system.open();
    client.send({ type: 'subscribe', id: 's', topics: ['a'] });
    await client.first('live');
    client.send({ type: 'subscribe', id: 's', topics: ['b'] });
    expect(await client.first('error')).toMatchObject({ id: 's', code: 'conflict' });
    client.send({ type: 'unsubscribe', id: 's' });
    await client.first('unsubscribed', 's');
  });
});

describe('WebSocket, frames that are wrong', () => {
  test('a message above the limit: closed with 1009', async () => {
    const client = system.open();
    await client.first('welcome');
    client.send('x'.repeat(300_001));
    expect((await client.closed).code).toBe(1009);
  });

  test('text that is not UTF-8: closed with 1007', async () => {
    const socket = await openBareSocket(system.gateway, system.token);
    const closed = closeCode(socket);
    socket.write(maskedFrame(0x81, Buffer.from([0xff, 0xfe])));
    expect(await closed).toBe(1007);
  });

  test.each([
    ['a reserved bit', 0xc1],
    ['an opcode that does not exist', 0x83],
  ])('%s: closed with 1002', async (_, first) => {
    const socket = await openBareSocket(system.gateway, system.token);
    const closed = closeCode(socket);
    socket.write(maskedFrame(first, Buffer.from('{}')));
    expect(await closed).toBe(1002);
  });

  test('a frame that is not masked: closed with 1002', async () => {
    const socket = await openBareSocket(system.gateway, system.token);
    const closed = closeCode(socket);
    socket.write(Buffer.from([0x81, 2, 0x7b, 0x7d]));
    expect(await closed).toBe(1002);
  });

  test('a peer that resets its connection: the gateway goes on', async () => {
    const before = await metric(system.gateway, 'gateway_connections');
    for (let n = 0; n < 20; n++) {
      const socket = await openBareSocket(system.gateway, system.token);
      socket.resetAndDestroy();
    }
    await until(async () => (await metric(system.gateway, 'gateway_connections')) === before);
  });
});

describe('upgrades', () => {
  test.each<[string, string, number, string]>([
    ['another path', '/v1/other', 404, 'not_found'],
    ['a path below', '/v1/ws/x', 404, 'not_found'],
  ])('%s: refused', async (_, path, status, code) => {
    const answer = await refusedUpgrade(system.gateway, path, {
      Authorization: `Bearer ${system.token}`,
    });
    expect(answer).toMatchObject({ status, body: { code, retryable: false } });
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['to something else than WebSocket', { Upgrade: 'h2c' }, /Upgrade header/],
    ['a version that does not exist', { 'Sec-WebSocket-Version': '7' }, /Version header/],
    ['a key that is none', { 'Sec-WebSocket-Key': 'short' }, /Key header/],
    ['subprotocols that are none', { 'Sec-WebSocket-Protocol': 'a,,b' }, /Protocol header/],
  ])('%s: refused with an error like others, and counted', async (_, headers, message) => {
    const refused = async () => {
      const text = await (await fetch(`${system.gateway.url}/metrics`)).text();
      const line = /handshakes_refused_total\{(?=.*"invalid_query")(?=.*"websocket").*\} (\d+)/;
      return Number(line.exec(text)?.[1] ?? 0);
    };
    const before = await refused();
    const answer = await refusedUpgrade(system.gateway, '/v1/ws', {
      Authorization: `Bearer ${system.token}`,
      ...headers,
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'invalid_query', message: expect.stringMatching(message), retryable: false },
    });
    expect(await refused()).toBe(before + 1);
  });

  test('plain GET of the WebSocket path: an error that says so', async () => {
    const response = await fetch(`${system.gateway.url}/v1/ws`, {
      headers: { authorization: `Bearer ${system.token}` },
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(await response.json()).toMatchObject({ code: expect.any(String) });
  });

  test('no HTTP at all: the connection ends, and the gateway goes on', async () => {
    const socket = connect(system.gateway.port, '127.0.0.1');
    socket.write('\u0000\u0001\u0002 rubbish\r\n\r\n');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('SSE, requests that are wrong', () => {
  test.each<[string, string, string]>([
    ['no topics', '', 'invalid_pattern'],
    ['empty topics', 'topics=', 'invalid_pattern'],
    ['a comma too many', 'topics=a,,b', 'invalid_pattern'],
    ['a pattern that is none', 'topics=a..b', 'invalid_pattern'],
    ['101 topics', `topics=${names(101).join(',')}`, 'invalid_pattern'],
    ['topics mistyped', 'topic=a', 'invalid_query'],
    ['types mistyped', 'topics=a&type=a', 'invalid_query'],
    ['empty types', 'topics=a&types=', 'invalid_query'],
    ['a comma too many in types', 'topics=a&types=a,', 'invalid_query'],
    ['a * inside a type', 'topics=a&types=a*b', 'invalid_query'],
    ['101 types', `topics=a&types=${names(101).join(',')}`, 'invalid_query'],
    ['after mistyped', 'topics=a&afer=earliest', 'invalid_query'],
    ['a cursor that is none', 'topics=a&after=yesterday', 'invalid_cursor'],
    ['a time that is none', 'topics=a&after=2026-13-01T00:00:00Z', 'invalid_time'],
    ['a percent sign too many', 'topics=%zz', 'invalid_pattern'],
  ])('%s: 400', async (_, query, code) => {
    const response = await sse(query);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject({ code, retryable: false });
  });

  test('Last-Event-ID that is no cursor: 400, although after is one', async () => {
    const response = await sse('topics=a&after=earliest', { 'last-event-id': 'rubbish' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_cursor' });
  });

  test('more than 100 parameters that are not known: 400', async () => {
    const names = Array.from({ length: 101 }, (_, n) => `k${n}`);
    const response = await sse(`topics=a&${names.join('&')}`);
    expect([response.status, await codeOf(response)]).toEqual([400, 'invalid_query']);
  });

  test('a parameter against caches: passed over', async () => {
    const response = await sse('topics=a&_=1764097200&cacheBuster=x');
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  test.each([
    ['not JSON', '{', 'invalid_json'],
    ['no topics', '{}', 'invalid_message'],
    ['a field of another message', '{"topics":["a"],"id":"s"}', 'invalid_message'],
    ['a pattern that is none', '{"topics":["a..b"]}', 'invalid_pattern'],
    ['a * inside a type', '{"topics":["a"],"types":["a*b"]}', 'invalid_message'],
    ['101 topics', JSON.stringify({ topics: names(101) }), 'invalid_pattern'],
    ['wrong in 5,000 places', `{"topics":[${'{"a":1},'.repeat(5_000)}1]}`, 'invalid_message'],
  ])('POST: %s: 400', async (_, body, code) => {
    const response = await ask(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code, retryable: false });
  });

  test('POST: larger than any request: 413; the topics in the query: 400', async () => {
    const large = await ask(JSON.stringify({ topics: names(20_000) }));
    expect([large.status, await codeOf(large)]).toEqual([413, 'too_large']);
    const misplaced = await ask('{"topics":["a"]}', '?topics=a');
    expect([misplaced.status, await codeOf(misplaced)]).toEqual([400, 'invalid_query']);
  });

  test('another method: 405', async () => {
    const response = await sse('topics=a', {}, 'PUT');
    expect(response.status).toBe(405);
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' });
  });

  test('another path: 404', async () => {
    const headers = { authorization: `Bearer ${system.token}` };
    const response = await fetch(`${system.gateway.url}/v1/nothing`, { headers });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'not_found' });
  });
});

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `t${index}`);
}

function ask(body: string, query = '') {
  return fetch(`${system.gateway.url}/v1/sse${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/json' },
    body,
  });
}

function sse(query: string, headers: Record<string, string> = {}, method = 'GET') {
  return fetch(`${system.gateway.url}/v1/sse?${query}`, {
    method,
    headers: { authorization: `Bearer ${system.token}`, ...headers },
  });
}

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code: unknown }).code;
}
