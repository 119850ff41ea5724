import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@tidemark/telemetry';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpServer } from './server.ts';

const HEADERS_TIMEOUT_MS = 300;
const REQUEST_TIMEOUT_MS = 600;
const ANSWER_STALL_MS = 500;
/** More than the kernel keeps for a client that does not read. */
const LARGE = Buffer.alloc(20_000_000, 'x');
/** Node looks twice within the time for headers. */
const CHECK_MS = 400;

const hits: string[] = [];
const http = new HttpServer(
  (request, response) => {
    if (request.url === '/stream') response.write('begun');
    else if (request.url === '/large') response.end(LARGE);
    else if (request.url === '/late') setTimeout(() => response.end('late'), 3 * ANSWER_STALL_MS);
    else request.resume().on('end', () => response.end('whole'));
  },
  createLogger('test', 'silent'),
  {
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    answerStallMs: ANSWER_STALL_MS,
    headerBytesMax: 2048,
    socketsMax: 20,
    limits: { hit: (limit) => hits.push(limit) },
  },
);
let port: number;
beforeAll(async () => {
  port = await http.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => http.stop(0));

function open(): Socket {
  return connect(port, '127.0.0.1').on('error', () => {});
}

/** Sends one byte every 20 ms, and never the end. */
async function drip(socket: Socket, bytes: string): Promise<{ answer: string; ms: number }> {
  const startMs = performance.now();
  let at = 0;
  const timer = setInterval(() => socket.write(bytes[at++ % bytes.length] ?? ''), 20);
  const answer = await text(socket).catch(() => '');
  clearInterval(timer);
  socket.destroy();
  return { answer, ms: performance.now() - startMs };
}

test('slow client: headers that never end: 408 in time', async () => {
  const socket = open();
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n');
  const { answer, ms } = await drip(socket, 'X-A: b\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"invalid_query"/);
  expect(ms).toBeLessThan(HEADERS_TIMEOUT_MS + CHECK_MS);
  expect(hits).toContain('request_time');
});

test('slow client: a body that never ends: 408 in time', async () => {
  const socket = open();
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
  const { answer, ms } = await drip(socket, '{"type":"x"}');
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(ms).toBeLessThan(REQUEST_TIMEOUT_MS + CHECK_MS);
});

test('slow client: a socket that says nothing: closed in time', async () => {
  const socket = open();
  socket.resume();
  const startMs = performance.now();
  await once(socket, 'close');
  expect(performance.now() - startMs).toBeLessThan(HEADERS_TIMEOUT_MS + CHECK_MS);
});

test('slow client: asks for much and reads nothing: cut in time, and counted', async () => {
  const socket = open();
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  socket.pause();
  await sleep(ANSWER_STALL_MS / 2);
  expect(hits).not.toContain('answer_time');
  await sleep(2 * ANSWER_STALL_MS);
  expect(hits).toContain('answer_time');
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await once(socket.resume(), 'close');
  expect(bytes).toBeLessThan(LARGE.length);
});

test('slow client: reads a little now and then: gets all', async () => {
  const socket = open();
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > 5_000_000) return;
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  await once(socket, 'close');
  expect(bytes).toBeGreaterThan(LARGE.length);
});

test('answer that takes long: the client that waits for it gets it', async () => {
  const answer = await fetch(`http://127.0.0.1:${port}/late`);
  expect(await answer.text()).toBe('late');
});

test('headers: more bytes than allowed: 431, and the socket is closed', async () => {
  const socket = open();
  socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(4096)}\r\n\r\n`);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 [\s\S]*"retryable":false/);
  expect(hits).toContain('header_bytes');
});

test('rubbish after an answer began: the socket is closed, nothing is put into the answer', async () => {
  const socket = open();
  socket.write('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'readable');
  socket.write('\0\0 rubbish\r\n\r\n');
  const answer = await text(socket).catch(() => '');
  expect(answer.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
});

test('sockets: more than the server takes: closed at once; those it has are served', async () => {
  const sockets = Array.from({ length: 40 }, () => open());
  const closed = await Promise.all(
    sockets.map(async (socket) => {
      socket.resume();
      const startMs = performance.now();
      await once(socket, 'close');
      return performance.now() - startMs < HEADERS_TIMEOUT_MS / 2;
    }),
  );
  expect(closed.filter(Boolean).length).toBeGreaterThanOrEqual(15);
  expect(hits.filter((limit) => limit === 'sockets').length).toBeGreaterThanOrEqual(15);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('whole');
});
