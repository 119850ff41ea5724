import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limitHits, type Service } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 8.2: what each service has in common, as it is configured by its variables. */

const HEADERS_TIMEOUT_MS = 400;
const REQUEST_TIMEOUT_MS = 800;
/** Node looks twice within the time for headers; the rest is for a busy machine. */
const LATE_MS = 2000;

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_HTTP_HEADERS_TIMEOUT_MS: String(HEADERS_TIMEOUT_MS),
      TIDEMARK_HTTP_REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
      TIDEMARK_HTTP_HEADER_BYTES_MAX: '4096',
    },
  });
});
afterAll(() => system.stop());

function open({ port }: Service): Socket {
  return connect(port, '127.0.0.1').on('error', () => {});
}

/** Sends one line after another, and never the end. */
async function drip(socket: Socket, head: string, line: string) {
  const startMs = performance.now();
  socket.write(head);
  const timer = setInterval(() => socket.write(line), 50);
  const answer = await text(socket).catch(() => '');
  clearInterval(timer);
  socket.destroy();
  return { answer, ms: performance.now() - startMs };
}

describe('a peer that does not end its side of the connection', () => {
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  test.each<[string, string, readonly string[]]>([
    ['a handshake without a token', '/v1/ws', upgrade],
    ['a handshake for nothing', '/v1/nothing', upgrade],
    ['a handshake that is wrong', '/v1/ws?access_token=TOKEN', upgrade.slice(0, 2)],
    ['a request that is wrong', '/v1/sse?access_token=TOKEN', ['Connection: close']],
    ['what is no request', '/v1/sse', ['rubbish']],
  ])('%s: refused, and the socket is gone', async (_, target, headers) => {
    const path = target.replace('TOKEN', system.token);
    await expectCut(system.gateway, path, headers, /^HTTP\/1\.1 40\d /);
  });

  test('an SSE stream that is put off: told, and the socket is gone', async () => {
    const gateway = await system.startGateway({ TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '1' });
    const path = `/v1/sse?topics=a&access_token=${system.token}`;
    await until(async () => {
      const response = await fetch(`${gateway.url}${path}`);
      const stream = response.body?.pipeThrough(new TextDecoderStream());
      for await (const chunk of stream ?? []) {
        if (chunk.includes('limit_exceeded')) return true;
        if (chunk.includes('live')) return false;
      }
      return false;
    });
    await expectCut(gateway, path, [], /event: error\ndata: \{"code":"limit_exceeded"/);
  });

  /** Twenty peers that have read the refusal, say nothing more and do not end their side. */
  async function expectCut(
    service: Service,
    path: string,
    headers: readonly string[],
    refusal: RegExp,
  ): Promise<void> {
    const before = await socketsOf(service);
    const peers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const options = { port: service.port, host: '127.0.0.1', allowHalfOpen: true };
        const socket = connect(options).on('error', () => {});
        let answer = '';
        socket.on('data', (chunk) => {
          answer += chunk;
        });
        socket.write(`${[`GET ${path} HTTP/1.1`, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`);
        await once(socket, 'end');
        expect(answer).toMatch(refusal);
        return socket;
      }),
    );
    await until(async () => (await socketsOf(service)) < before + 10);
    for (const socket of peers) socket.destroy();
  }

  async function socketsOf({ url }: Service): Promise<number> {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return Number(/^nodejs_active_resources\{type="TCPSocketWrap".*\} (\d+)/m.exec(metrics)?.[1]);
  }
});

describe.each(['gateway', 'ingest', 'replay'] as const)('%s', (name) => {
  test('headers that never end, and a handshake without its last line: 408 in time, counted', async () => {
    for (const more of ['', 'Connection: Upgrade\r\nUpgrade: websocket\r\n']) {
      const head = `GET /v1/ws HTTP/1.1\r\nHost: a\r\n${more}`;
      const { answer, ms } = await drip(open(system[name]), head, 'X-A: b\r\n');
      expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"invalid_query"/);
      expect(ms).toBeLessThan(HEADERS_TIMEOUT_MS + LATE_MS);
    }
    expect(await limitHits(system[name], 'request_time')).toBeGreaterThanOrEqual(2);
  });

  test('a body that never ends: 408 in time', async () => {
    const { token } = system;
    const head = `POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n`;
    const { answer, ms } = await drip(open(system[name]), head, ' ');
    // Where there is nothing to be posted, that is said at once.
    expect(answer).toMatch(name === 'ingest' ? /^HTTP\/1\.1 408 / : /^HTTP\/1\.1 40[45] /);
    expect(ms).toBeLessThan(REQUEST_TIMEOUT_MS + LATE_MS);
  });

  test('a socket that says nothing: closed in time', async () => {
    const socket = open(system[name]).resume();
    const startMs = performance.now();
    await once(socket, 'close');
    expect(performance.now() - startMs).toBeLessThan(HEADERS_TIMEOUT_MS + LATE_MS);
  });

  test('more bytes of headers than allowed: 431, counted', async () => {
    const socket = open(system[name]);
    socket.write(`GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(5000)}\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 [\s\S]*"retryable":false/);
    expect(await limitHits(system[name], 'header_bytes')).toBe(1);
  });
});
