import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { openBareSocket, refusedUpgrade } from './bare-sockets.ts';

/* PROTOCOL.md section 8.4, header by header; test/browser asks a real browser. */

const PAGE = 'https://app.example';
const STRANGERS = [
  'https://evil.example',
  'null',
  `${PAGE}.evil.example`,
  'http://app.example',
  '',
];

let system: System;
let token: string;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_ALLOWED_ORIGINS: PAGE } });
  token = await makeToken('subscribe:> publish:> history:> admin');
});
afterAll(() => system.stop());

interface Call {
  readonly url: string;
  readonly method: 'GET' | 'POST';
}

const calls = (): Record<string, Call> => ({
  'an SSE stream': { url: `${system.gateway.url}/v1/sse?topics=a`, method: 'GET' },
  tickets: { url: `${system.gateway.url}/v1/tickets`, method: 'POST' },
  ingest: { url: `${system.ingest.url}/v1/events`, method: 'POST' },
  history: { url: `${system.replay.url}/v1/events`, method: 'GET' },
});

/** The answer's head; a stream is given up. */
async function ask({ url, method }: Call, headers: Record<string, string>): Promise<Response> {
  const authorization = `Bearer ${token}`;
  const json = { 'content-type': 'application/json' };
  const response = await fetch(url, {
    method,
    headers: { authorization, ...(method === 'POST' && json), ...headers },
    ...(method === 'POST' && { body: '{"type":"browser.a"}' }),
  });
  await response.body?.cancel();
  return response;
}

describe.each(['an SSE stream', 'tickets', 'ingest', 'history'])('%s', (name) => {
  test('page that is allowed: shared with it alone, and its preflight answered', async () => {
    const call = calls()[name] as Call;
    const response = await ask(call, { origin: PAGE });
    expect(response.status).toBeLessThan(300);
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
    expect(response.headers.get('access-control-allow-credentials')).toBe('true');
    expect(response.headers.get('vary')).toMatch(/\bOrigin\b/);
    expect(response.headers.get('cache-control')).toMatch(/^no-store\b/);
    const preflight = await fetch(call.url, {
      method: 'OPTIONS',
      headers: {
        origin: PAGE,
        'access-control-request-method': call.method,
        'access-control-request-headers': 'authorization, content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
  });

  test.each(STRANGERS)(
    'page of %j: 403 in spite of its token, and nothing is shared',
    async (origin) => {
      const response = await ask(calls()[name] as Call, { origin });
      expect(response.status).toBe(403);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    },
  );
});

test('SSE: the answer is not to be kept, and not to be held back by a proxy', async () => {
  const { headers } = await ask(calls()['an SSE stream'] as Call, {});
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store, no-transform');
  expect(headers.get('x-accel-buffering')).toBe('no');
  expect(headers.get('access-control-allow-origin')).toBeNull();
});

test('WebSocket: a page that is not allowed: refused before the upgrade, whatever its token', async () => {
  const authorization = `Bearer ${token}`;
  for (const origin of STRANGERS) {
    const headers = { Authorization: authorization, Origin: origin };
    const { status, body } = await refusedUpgrade(system.gateway, '/v1/ws', headers);
    expect([origin, status]).toEqual([origin, 403]);
    expect(body).toMatchObject({ code: 'forbidden' });
  }
  const socket = await openBareSocket(system.gateway, token, { Origin: PAGE });
  socket.destroy();
});

test('no origins configured: nothing is shared with any page, and a token still works', async () => {
  const plain = await system.startGateway({ TIDEMARK_ALLOWED_ORIGINS: '' });
  const url = `${plain.url}/v1/sse?topics=a`;
  const response = await ask({ url, method: 'GET' }, { origin: PAGE });
  expect(response.status).toBe(200);
  expect(response.headers.get('access-control-allow-origin')).toBeNull();
});

test('every answer of every service: is no page that a browser would show', async () => {
  for (const { url } of [system.gateway, system.ingest, system.replay]) {
    for (const path of ['/', '/healthz', '/metrics', '/v1/nothing', '/v1/events', '/index.html']) {
      const response = await fetch(`${url}${path}`);
      await response.body?.cancel();
      expect(response.headers.get('content-type'), path).not.toMatch(/html|javascript|svg/);
      expect(response.headers.get('x-content-type-options'), path).toBe('nosniff');
    }
  }
});
