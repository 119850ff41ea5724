import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NGINX, type Nginx, startNginx } from '../../test/support/nginx.ts';
import { makeToken } from '../../test/support/services.ts';
import { type System, startSystem } from '../../test/support/system.ts';

/* What one client can hold of nginx itself. Numbers are smaller than those that are shipped. */

const CONNECTIONS_MAX = 3;
const HEADER_TIMEOUT_S = 1;

describe.skipIf(!HAS_NGINX)('limits of nginx (needs nginx)', () => {
  let system: System;
  let proxy: Nginx;
  beforeAll(async () => {
    system = await startSystem();
    proxy = await startNginx(system, {
      changes: [
        ['limit_conn addresses 10000', `limit_conn addresses ${CONNECTIONS_MAX}`],
        ['client_header_timeout 10s', `client_header_timeout ${HEADER_TIMEOUT_S}s`],
        ['keepalive_timeout 30s', `keepalive_timeout ${HEADER_TIMEOUT_S}s`],
      ],
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await system?.stop();
  });

  function open(text: string): Socket {
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1').on('error', () => {});
    socket.write(text);
    return socket;
  }

  test('connections of an address: one too many: 429, over SSE an error; later others are served', async () => {
    const headers = { authorization: `Bearer ${system.token}` };
    const ending = new AbortController();
    const streams = await Promise.all(
      Array.from({ length: CONNECTIONS_MAX }, () => {
        return fetch(`${proxy.url}/v1/sse?topics=a`, { headers, signal: ending.signal });
      }),
    );
    expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));
    const refused = await fetch(`${proxy.url}/v1/topics`, { headers });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'limit_exceeded', retryable: true });
    const stream = await fetch(`${proxy.url}/v1/sse?topics=a`, { headers });
    expect(await stream.text()).toContain('event: error');
    ending.abort();
    await expect
      .poll(async () => (await fetch(`${proxy.url}/v1/topics`, { headers })).status)
      .toBe(200);
  });

  test.each(['/v1/events', '/v1/hooks/none'])(
    'body at %s that is not permitted: refused before it has arrived, and never as a fault of nginx',
    async (path) => {
      const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n`;
      const socket = open(`${head}Content-Type: application/json\r\n\r\n{`);
      let text = '';
      socket.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      await expect.poll(() => text, { timeout: 5_000 }).toMatch(/^HTTP\/1.1 40[14] /);
      socket.destroy();
      // Less than the rate of refused bodies that are read (PROTOCOL.md section 8.2).
      const body = 'x'.repeat(1_000_000);
      const { status } = await fetch(`${proxy.url}${path}`, { method: 'POST', body });
      expect([401, 404]).toContain(status);
    },
  );

  test.each([
    '/metrics',
    '//metrics',
    '/%6detrics',
    '/v1/events/../../metrics',
    '/v1/hooks/%2e%2e/%2e%2e/metrics',
    '/v1/hooks/..%2f..%2fmetrics',
    '/v1/events/..;/../metrics',
    '/v1//admin/revocations',
    '/v1/%61dmin/revocations',
    '/v1/hooks/..%2fadmin%2frevocations',
    '/V1/admin/revocations',
    'http://127.0.0.1/v1/admin/revocations',
  ])('what is for operators, spelled as %s: not there, whatever the token', async (path) => {
    const token = await makeToken('admin history:> publish:>');
    const more = `Authorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
    for (const method of ['GET', 'DELETE']) {
      const socket = open(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${more}`);
      let answer = '';
      for await (const part of socket) answer += part;
      expect(answer).toMatch(/^HTTP\/1.1 40[45] /);
      expect(answer).not.toContain('tidemark_');
    }
  });

  test.each([
    ['headers that never end', 'GET /v1/topics HTTP/1.1\r\nHost: a\r\n'],
    ['a connection that says nothing after its answer', 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('%s: closed in time', async (_, text) => {
    const startMs = performance.now();
    const socket = open(text);
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(performance.now() - startMs).toBeLessThan(HEADER_TIMEOUT_S * 4000);
  });
});
