import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  COUNTER_AT,
  COUNTER_DIGITS,
  layOut,
  layOutText,
  readDigits,
  stamp,
  stampText,
} from '../wire/event-layout.ts';
import { numberIn, seriesOf } from '../wire/series.ts';
import { HttpConnection, parseAnswer } from './http-connection.ts';
import { faultIn } from './http-target.ts';
import { RequestLoad } from './request-load.ts';

/** What the server was sent: a path and a body. */
const requests: [string, string][] = [];
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  requests.push([request.url ?? '', Buffer.concat(chunks).toString()]);
  response.statusCode = request.url === '/refused' ? 503 : 200;
  response.write('{"first":1,');
  // Without a length and in two pieces, so in chunks.
  setTimeout(() => response.end('"last":2}'), 5);
});
let port = 0;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`;

test('HTTP connection: answers in chunks: one after the other, each complete', async () => {
  const connection = await HttpConnection.open('127.0.0.1', port);
  for (const [path, status] of [
    ['/one', 200],
    ['/refused', 503],
  ] as const) {
    const answer = await connection.send(post(path));
    expect(answer.status).toBe(status);
    expect(answer.body).toContain('"last":2}');
  }
  connection.close();
});

test('HTTP connection: the server closes it: the request fails', async () => {
  const connection = await HttpConnection.open('127.0.0.1', port);
  const sent = connection.send(post('/one'));
  server.closeAllConnections();
  await expect(sent).rejects.toThrow();
  await expect(connection.send(post('/one'))).rejects.toThrow('closed');
});

test('answer: every part of it: is incomplete until its last byte', () => {
  const whole = 'HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nabcde';
  for (let length = 0; length < whole.length; length++) {
    expect(parseAnswer(whole.slice(0, length))).toBeUndefined();
  }
  expect(parseAnswer(whole)).toEqual({ status: 201, body: 'abcde' });
});

test('event as text: is the same as in bytes', () => {
  const at = { counter: 20_000_007, timeUs: 123_456_789.5 };
  const bytes = stamp(layOut('some.topic', 300), at).toString();
  expect(stampText(layOutText('some.topic', 300), at)).toBe(bytes);
});

test('request load: several publishers: each audience gets its events of a series in order', async () => {
  requests.length = 0;
  const load = new RequestLoad();
  const report = await load.publish({
    target: { api: 'socket.io', host: '127.0.0.1', port, secret: '' },
    topics: { prefix: 'narrow', audiences: 6, topicsEach: 2 },
    eventBytes: 200,
    publishers: 2,
    batch: 5,
    eventsEach: 8,
  });
  expect(report.events).toBe(6 * 8);
  const last = new Map<string, number>();
  for (const [, body] of requests) {
    for (const { topic, data } of JSON.parse(body)) {
      const counter = readDigits(Buffer.from(JSON.stringify(data)), COUNTER_AT, COUNTER_DIGITS);
      const series = `${topic} ${seriesOf(counter)}`;
      expect(numberIn(counter)).toBe((last.get(series) ?? 0) + 1);
      last.set(series, numberIn(counter));
    }
  }
  // A topic belongs to one publisher, and half of the audience's events are on it.
  expect([...last.values()]).toEqual(Array.from({ length: 12 }, () => 4));
});

test('request load: only so much is allowed: sends that, and the rest when it is', async () => {
  requests.length = 0;
  const load = new RequestLoad();
  const published = load.publish({
    target: { api: 'socket.io', host: '127.0.0.1', port, secret: '' },
    topics: { prefix: 'fan-out', audiences: 1, topicsEach: 1 },
    eventBytes: 200,
    publishers: 2,
    batch: 5,
    eventsEach: 40,
    onlyAllowed: true,
  });
  load.allow(12);
  await sleep(100);
  expect(requests.length).toBe(2);
  load.allow(15);
  await sleep(100);
  expect(requests.length).toBe(3);
  load.allow(40);
  expect((await published).events).toBe(40);
});

test('request load: for some time, with a pause: each publisher sends its next request after the pause', async () => {
  requests.length = 0;
  const report = await new RequestLoad().flood({
    target: { api: 'socket.io', host: '127.0.0.1', port, secret: '' },
    topics: { prefix: 'beside', audiences: 1, topicsEach: 1 },
    eventBytes: 200,
    publishers: 1,
    batch: 2,
    seconds: 0.3,
    pauseMs: 40,
  });
  expect(requests.length).toBeGreaterThan(1);
  expect(requests.length).toBeLessThanOrEqual(300 / 40 + 1);
  expect(report.events).toBe(2 * requests.length);
  expect(report.latency.count).toBe(requests.length);
});

test.each([
  ['tidemark', 201, '[{"cursor":"a-1"},{"cursor":"a-2"}]', true],
  ['tidemark', 201, '[{"cursor":"a-1"}]', false],
  ['tidemark', 503, '[{"cursor":"a-1"},{"cursor":"a-2"}]', false],
  ['centrifugo', 200, '{"replies":[{"publish":{}},{"publish":{}}]}', true],
  ['centrifugo', 200, '{"replies":[{"publish":{}},{"error":{"code":100}}]}', false],
] as const)(
  'answer of %s, %i %s, to two events: counts as published: %s',
  (api, status, body, isPublished) => {
    const fault = faultIn({ api, host: '', port: 0, secret: '' }, { status, body }, 2);
    expect(fault === undefined).toBe(isPublished);
  },
);
