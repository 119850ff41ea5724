import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NGINX, type Nginx, startNginx } from '../../test/support/nginx.ts';
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
