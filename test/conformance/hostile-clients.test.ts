import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../support/clients.ts';
import { numbered, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* SECURITY.md: what a client may try that it is not meant to, by hand; the fuzzers try the rest. */

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: '1000000' } });
});
afterAll(() => system.stop());

async function post(body: string, contentType = 'application/json'): Promise<Response> {
  return fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': contentType, authorization: `Bearer ${system.token}` },
    body,
  });
}

async function openRaw(
  headers: Readonly<Record<string, string>> = {},
  look: (head: string) => void = () => {},
): Promise<Socket> {
  const socket = connect(system.gateway.port, '127.0.0.1').on('error', () => {});
  const key = randomBytes(16).toString('base64');
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: tidemark.v1\r\nAuthorization: Bearer ${system.token}\r\n${more.join('')}\r\n`,
  );
  const [head] = await once(socket, 'data');
  look(head.toString('latin1'));
  return socket;
}

/** A masked frame whose mask leaves the payload as it is. */
function frame(first: number, payload: string): Buffer {
  return Buffer.concat([
    Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]),
    Buffer.from(payload),
  ]);
}

test('SSE injection: line ends and NUL in attributes: refused; in data: one line, read as they were', async () => {
  const listener = listen('sse', {
    urls: [system.gateway.url],
    token: system.token,
    topics: 'lines',
  });
  await until(() => listener.live);
  const nasty = 'a\r\n\r\ndata: injected\n\nid: 0-0\n\0\u2028';
  for (const name of ['id', 'type', 'source', 'subject', 'topic', 'extension']) {
    const event = { ...numbered('lines', 1), [name]: `a${nasty}` };
    expect([name, (await post(JSON.stringify(event))).status]).toEqual([name, 400]);
  }
  await post(JSON.stringify({ ...numbered('lines', 2), data: nasty }));
  await until(() => listener.events.length === 1);
  expect(listener.events[0]?.event.data).toBe(nasty);
  await listener.stop();
});

test('SSE injection: line ends in a cursor, a topic or a parameter: an error without them', async () => {
  const headers = { authorization: `Bearer ${system.token}` };
  const nasty = encodeURIComponent('x\r\nSet-Cookie: a=b\r\n\r\ndata: injected');
  for (const query of [`topics=a&after=${nasty}`, `topics=${nasty}`]) {
    const response = await fetch(`${system.gateway.url}/v1/sse?${query}`, { headers });
    expect(response.status).toBe(400);
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(await response.text()).not.toMatch(/[\r\n]/);
  }
  const withId = { ...headers, 'last-event-id': 'abc-1\x00' };
  await expect(
    fetch(`${system.gateway.url}/v1/sse?topics=a`, { headers: withId }),
  ).rejects.toThrow();
});

test('JSON: keys that reach for prototypes: refused, and nothing is changed', async () => {
  for (const key of ['__proto__', 'constructor.prototype', 'toString!']) {
    const body = `{"type":"a","data":{},"${key}":{"admin":true,"polluted":1}}`;
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_event' });
  }
  const inside = await post('{"type":"a","data":{"__proto__":{"polluted":1}}}');
  expect(inside.status).toBe(201);
  expect(await (await post('{"type":"a"}')).json()).not.toHaveProperty('polluted');
});

test('JSON: nested too deeply, at any depth: refused', async () => {
  for (const depth of [70, 1000, 100_000]) {
    const data = '['.repeat(depth) + ']'.repeat(depth);
    expect((await post(`{"type":"a","data":${data}}`)).status).toBe(400);
  }
});

test('JSON: a body that is wrong in every place: the answer is not larger than it', async () => {
  const wrong = `{${Array.from({ length: 100 }, (_, n) => `"A${n}":[]`).join(',')}}`;
  const batch = `[${Array(900).fill(wrong).join(',')}]`;
  const response = await post(batch, 'application/cloudevents-batch+json');
  expect(response.status).toBe(400);
  const text = await response.text();
  expect(text.length).toBeLessThan(50_000);
  expect(JSON.parse(text).faults).toHaveLength(100);
});

test('JSON: tens of thousands of attributes: refused for their number, each unseen', async () => {
  const many = Array.from({ length: 50_000 }, (_, n) => `"A${n}":[]`).join(',');
  const startMs = performance.now();
  const response = await post(`{"type":"a",${many}}`);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: 'invalid_event',
    faults: [{ path: '$', message: 'must have at most 100 extension attributes' }],
  });
  expect(performance.now() - startMs).toBeLessThan(1000);
});

test('JSON: as many attributes as may be, and those of the server: taken, and delivered', async () => {
  const listener = listen('sse', {
    urls: [system.gateway.url],
    token: system.token,
    topics: 'full',
  });
  await until(() => listener.live);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`a${n}`, 'x']));
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const response = await fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${system.token}`,
      traceparent,
      tracestate: 'a=b',
    },
    body: JSON.stringify({ type: 'full', ...many }),
  });
  expect(response.status).toBe(201);
  await until(() => listener.events.length === 1);
  expect(listener.events[0]?.event).toMatchObject({ ...many, publisher: 'tester', traceparent });
  expect((await post(JSON.stringify({ type: 'full', ...many, a100: 'x' }))).status).toBe(400);
  await listener.stop();
});

/** Bytes that are answered whole before the socket is given up. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write(bytes);
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (/\r\n\r\n[\s\S]*\}\s*$/.test(text)) resolve(text);
    });
    socket.once('close', () => resolve(text));
  });
  socket.destroy();
  return answer;
}

test.each(['http://[/v1/sse', 'http://a:port/v1/sse', 'foo:', 'http://', '%', '//['])(
  'target %s: an error like others, and no page',
  async (target) => {
    const authorization = `Authorization: Bearer ${system.token}`;
    for (const { port } of [system.gateway, system.ingest, system.replay]) {
      const answer = await exchange(
        port,
        `GET ${target} HTTP/1.1\r\nHost: a\r\n${authorization}\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
      expect(answer).toMatch(/"code":"(invalid_query|not_found)"/);
      expect(answer).not.toMatch(/<html|text\/html/);
    }
  },
);

const CHUNKED = 'Transfer-Encoding: chunked\r\n';
test.each<[string, string]>([
  [
    'a length and chunks',
    `Content-Length: 5\r\n${CHUNKED}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n`,
  ],
  ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345'],
  ['a length that is none', 'Content-Length: +5\r\n\r\n12345'],
  ['chunks of two kinds', `${CHUNKED}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
  ['a folded header', 'X-A: b\r\n c\r\n\r\n'],
  ['a blank before the colon', 'Content-Length : 5\r\n\r\n12345'],
  ['bare line feeds', 'X-A: b\n\n'],
])('request that two readers would read in two ways (%s): 400, and a close', async (_, rest) => {
  const head = `POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${system.token}\r\n`;
  for (const { port } of [system.gateway, system.ingest, system.replay]) {
    const answer = await exchange(port, head + rest);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  }
});

test('headers: hundreds before the one that counts: none is dropped', async () => {
  const many = Array.from({ length: 300 }, (_, n) => `X-${n}: 1\r\n`).join('');
  const authorization = `Authorization: Bearer ${system.token}`;
  const head = `GET /v1/topics HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n${many}${authorization}\r\n\r\n`;
  expect(await exchange(system.replay.port, head)).toMatch(/^HTTP\/1\.1 200 /);
});

test('WebSocket: compression is offered: not taken', async () => {
  const offer = 'permessage-deflate; client_max_window_bits; server_max_window_bits=8';
  const socket = await openRaw({ 'Sec-WebSocket-Extensions': offer }, (head) => {
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).not.toMatch(/extensions|deflate/i);
  });
  const closed = once(socket, 'close');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  // A frame that says that it is compressed: RFC 6455 section 5.2.
  socket.write(frame(0x81 | 0x40, '{}'));
  await closed;
  expect(Buffer.concat(received).includes(Buffer.from([0x88, 0x02, 0x03, 0xea]))).toBe(true);
});

test('JSON: what is not UTF-8: refused, over HTTP and WebSocket', async () => {
  const response = await fetch(`${system.ingest.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${system.token}` },
    body: Buffer.from([0x22, 0xff, 0xfe, 0x22]),
  });
  expect(response.status).toBe(400);
  const socket = await openRaw();
  const closed = once(socket, 'close');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.write(Buffer.concat([frame(0x81, '').fill(0x82, 1, 2), Buffer.from([0xff, 0xfe])]));
  await closed;
  expect(Buffer.concat(received).includes(Buffer.from([0x88, 0x02, 0x03, 0xef]))).toBe(true);
});

test('frames: a message in thousands of tiny fragments: closed with 1008', async () => {
  const socket = await openRaw();
  const closed = once(socket, 'close');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.write(Buffer.concat([frame(0x01, '"'), ...Array(5000).fill(frame(0x00, 'a'))]));
  await closed;
  expect(Buffer.concat(received).includes(Buffer.from([0x88, 0x02, 0x03, 0xf0]))).toBe(true);
});

test('answers: a client that asks and takes nothing: is not read any more, memory stays', async () => {
  const metrics = async () => (await fetch(`${system.gateway.url}/metrics`)).text();
  const resident = async () =>
    Number(/^process_resident_memory_bytes\{.*\} (\d+)/m.exec(await metrics())?.[1]);
  const before = await resident();
  const socket = await openRaw();
  socket.pause();
  const unknown = frame(0x81, `{"type":"unsubscribe","id":"${'x'.repeat(60)}"}`);
  const many = Buffer.concat(Array(1000).fill(unknown));
  const isLimited = async () =>
    /limits_hit_total\{.*"unsent_answers".*\} [1-9]/.test(await metrics());
  // How much the system keeps for the two sockets depends on what it has learned of the way.
  await until(
    async () => {
      if (socket.writableLength < 10_000_000) socket.write(many);
      return isLimited();
    },
    () => `the limit; closed: ${socket.destroyed}, not taken: ${socket.writableLength}`,
  );
  // It goes on, and nothing is read any more.
  for (let n = 0; n < 100 && socket.writableLength < 10_000_000; n++) socket.write(many);
  expect((await resident()) - before).toBeLessThan(100 * 1024 ** 2);
  socket.destroy();
});

test('messages: large ones that take long, faster than they are worked on: read no faster', async () => {
  const client = system.open();
  await client.first('welcome');
  const text = `{"type":"publish","id":"1","event":{"type":"a","data":[${'[],'.repeat(170_000)}0]}}`;
  const sent = 100;
  for (let count = 0; count < sent; count++) client.send(text);
  await until(() => client.socket.bufferedAmount === 0);
  // What has not been answered by then is in the buffers of the sockets, and not in the gateway.
  expect(client.messages.length).toBeGreaterThan(sent * 0.7);
});
