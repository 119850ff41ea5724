import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@tidemark/telemetry';
import { expect, onTestFinished, test } from 'vitest';
import { takeFromHttp } from './bare-socket.ts';
import { ConnectionLimiter } from './connection-limiter.ts';
import { HttpServer } from './server.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const HIGH_WATER_BYTES = 16 * 1024;

interface Taken {
  readonly http: HttpServer;
  readonly client: Socket;
  readonly former: Socket;
  readonly heir: Socket;
  readonly request: IncomingMessage;
  /** Everything that the client has received. */
  readonly received: () => string;
}

/** A client whose answer has begun, and whose connection was then taken from HTTP. */
async function take(connectionLimiter?: ConnectionLimiter): Promise<Taken> {
  const exchanges: [IncomingMessage, ServerResponse][] = [];
  const http = new HttpServer(
    (request, response) => exchanges.push([request, response]),
    createLogger('test', 'silent'),
    { socketBufferBytes: HIGH_WATER_BYTES, ...(connectionLimiter && { connectionLimiter }) },
  );
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  const client = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(async () => {
    client.destroy();
    await http.stop(0);
  });
  let text = '';
  client.on('data', (bytes) => {
    text += bytes;
  });
  client.write(GET);
  await expect.poll(() => exchanges.length).toBe(1);
  const [request, response] = exchanges[0] as [IncomingMessage, ServerResponse];
  response.writeHead(200, { Connection: 'close' }).flushHeaders();
  const former = request.socket;
  const heir = takeFromHttp(former);
  return { http, client, former, heir, request, received: () => text };
}

const connections = ({ http }: Taken) => {
  return new Promise<number>((resolve, reject) => {
    http.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
};

test('a connection taken from HTTP: the answer goes on, and the former socket has closed', async () => {
  const taken = await take();
  const { former, heir, request, received } = taken;
  expect(heir).not.toBe(former);
  expect(heir.writableHighWaterMark).toBe(HIGH_WATER_BYTES);
  heir.write('more');
  await expect.poll(received).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nmore$/s);
  expect(former.closed).toBe(true);
  expect(request.destroyed).toBe(true);
  expect((former as { parser?: unknown }).parser).toBeNull();
  heir.end('last');
  await expect.poll(received).toMatch(/morelast$/);
});

test('its client reads nothing: it asks to wait, and drains when the client reads', async () => {
  const { heir, client, received } = await take();
  client.pause();
  const block = 'x'.repeat(64 * 1024);
  let blocks = 0;
  for (; heir.write(block) || blocks < 100; blocks++) await sleep(0);
  expect(heir.writableNeedDrain).toBe(true);
  const drained = once(heir, 'drain');
  client.resume();
  await drained;
  await expect.poll(() => received().split('x').length - 1).toBe((blocks + 1) * block.length);
});

test.each([
  ['ends', (client: Socket) => client.end()],
  ['resets', (client: Socket) => client.resetAndDestroy()],
])('its client %s the connection: it closes', async (_how, leave) => {
  const { heir, client } = await take();
  leave(client);
  await expect.poll(() => heir.closed).toBe(true);
});

test('its client sends more than any request has: it closes, and not before', async () => {
  const { heir, client } = await take();
  client.write('x'.repeat(32 * 1024));
  await expect.poll(() => heir.bytesRead).toBeGreaterThan(32 * 1024);
  expect(heir.destroyed).toBe(false);
  const closed = once(heir, 'close');
  client.write('x'.repeat(256 * 1024));
  await closed;
});

test('it counts for server and address until it has closed', async () => {
  const hits: string[] = [];
  const limits = { hit: (limit: string) => void hits.push(limit) };
  const limiter = new ConnectionLimiter({ socketsPerAddressMax: 1, trustedProxies: '', limits });
  const taken = await take(limiter);
  const { http, heir, client } = taken;
  await expect.poll(() => taken.former.closed).toBe(true);
  expect(await connections(taken)).toBe(1);
  const { port } = http.server.address() as { port: number };
  const second = connect(port, '127.0.0.1').on('error', () => {});
  await once(second, 'close');
  expect(hits).toEqual(['sockets_per_address']);
  client.destroy();
  await once(heir, 'close');
  await expect.poll(() => connections(taken)).toBe(0);
  const third = connect(port, '127.0.0.1');
  third.write(GET);
  await sleep(100);
  expect(third.readable).toBe(true);
  third.destroy();
  expect(hits).toHaveLength(1);
});

test('the server stops: it waits for it, and closes it when the drain is over', async () => {
  const { http, heir } = await take();
  await sleep(10);
  const startMs = performance.now();
  await http.stop(200);
  expect(performance.now() - startMs).toBeGreaterThan(150);
  expect(heir.destroyed).toBe(true);
});

test('the kernel has not taken all bytes, or the socket has closed: it stays as it is', async () => {
  const { heir, client } = await take();
  client.pause();
  while (heir.write('x'.repeat(64 * 1024)) || heir.writableLength < 64 * 1024) await sleep(0);
  expect(takeFromHttp(heir)).toBe(heir);
  heir.destroy();
  expect(takeFromHttp(heir)).toBe(heir);
});
