import { once } from 'node:events';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { createVerifier, RevocationList, requirePermission, signToken } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createApp, type Endpoint } from './app.ts';
import { createAuthentication } from './authentication.ts';
import { readBody } from './body.ts';
import { HttpServer } from './server.ts';

const secret = 'a secret of more than thirty-two bytes';
const BODY_BYTES_MAX = 1000;

const described = { summary: 'For a test', answers: { 200: { means: 'It works.' } } };

const endpoints: Endpoint[] = [
  {
    path: '/v1/echo',
    methods: {
      GET: {
        ...described,
        serve: (request, response, { subject }) => {
          response.json({ subject, query: request.query });
        },
      },
      POST: {
        ...described,
        serve: async (request, response) => {
          const body = await readBody(request, { bytesMax: BODY_BYTES_MAX });
          response.end(body);
        },
      },
    },
  },
  {
    path: '/v1/errors/:code',
    methods: {
      GET: {
        ...described,
        path: z.object({ code: z.string() }),
        serve: (request, response, principal) => {
          const { code } = request.params;
          if (code === 'bug') throw new TypeError('inner text');
          if (code === 'late') {
            response.write('{"half":');
            throw new Error('too late');
          }
          if (code === 'forbidden') requirePermission(principal, 'publish', 'orders.1');
          if (code === 'limit') {
            throw new TidemarkError('limit_exceeded', 'Slower.', { retryAfterSeconds: 7 });
          }
          throw new TidemarkError('unavailable', 'Later.');
        },
      },
    },
  },
];

let logged = '';
const sink = new Writable({
  write(chunk, _encoding, done) {
    logged += chunk;
    done();
  },
});
const logger = pino({ level: 'debug' }, sink);
const checks = { nats: true, stream: true };
const verifier = createVerifier({ secret });
const noRevocations = new RevocationList({
  tokenLifetimeSecondsMax: 3600,
  tokenClockToleranceSeconds: 0,
});
noRevocations.complete();
const app = createApp({
  version: '1.2.3',
  logger,
  metrics: new Metrics('test', { defaults: false }),
  authenticate: createAuthentication({
    verifier,
    cookieName: 'tidemark',
    revocations: noRevocations,
  }),
  checks: { nats: () => checks.nats, stream: () => checks.stream },
  endpoints,
});
const http = new HttpServer(app, logger);
let base = '';
let port = 0;
let token = '';

beforeAll(async () => {
  port = await http.listen({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${port}`;
  token = await signToken({ secret, subject: 'alice', scope: 'publish:users.>', ttlSeconds: 60 });
});
afterAll(() => http.stop(0));

function send(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(base + path, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
}

describe('app: endpoints that need no token', () => {
  test('healthz: alive, and which version', async () => {
    const response = await fetch(`${base}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok', version: '1.2.3' });
    expect(response.headers.has('x-powered-by') || response.headers.has('etag')).toBe(false);
  });

  test('readyz: one check false: 503 naming the checks, 200 when all are true', async () => {
    checks.stream = false;
    const away = await fetch(`${base}/readyz`);
    expect(away.status).toBe(503);
    expect(await away.json()).toEqual({ ready: false, checks: { nats: true, stream: false } });
    checks.stream = true;
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  test('metrics: answers are counted by route, unknown paths add no series', async () => {
    await send('/v1/echo');
    await send('/v1/unknown-1');
    const response = await fetch(`${base}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text();
    expect(text).toMatch(/tidemark_http_answers_total\{[^}]*route="\/v1\/echo",status="200"/);
    expect(text).toMatch(/tidemark_http_answers_total\{[^}]*route="none",status="404"/);
    expect(text).not.toContain('unknown-1');
  });
});

describe('app: tokens', () => {
  test('no token: 401 with WWW-Authenticate', async () => {
    const response = await fetch(`${base}/v1/echo`);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.json()).toMatchObject({ code: 'unauthenticated', retryable: false });
  });

  test('token in the query or the cookie: principal, and never a word of it in the log', async () => {
    const byQuery = await fetch(`${base}/v1/echo?x=1&access_token=${token}`);
    expect(await byQuery.json()).toMatchObject({ subject: 'alice', query: { x: '1' } });
    const byCookie = await fetch(`${base}/v1/echo`, {
      headers: { cookie: `tidemark=${token}`, 'sec-fetch-site': 'same-origin' },
    });
    expect(byCookie.status).toBe(200);
    await fetch(`${base}/v1/nothing?access_token=${token}`);
    expect(logged).toContain('"path":"/v1/echo"');
    expect(logged).not.toContain(token);
    expect(logged).not.toContain('access_token');
  });
});

describe('app: errors as JSON', () => {
  test('unknown path: 404 not_found', async () => {
    const response = await send('/v1/none');
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'not_found' });
  });

  test('known path, other method: 405 with Allow', async () => {
    const response = await send('/v1/echo', { method: 'DELETE' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST');
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' });
    expect((await fetch(`${base}/readyz`, { method: 'POST' })).headers.get('allow')).toBe(
      'GET, HEAD',
    );
  });

  test('permission missing: 403 naming action and pattern', async () => {
    const response = await send('/v1/errors/forbidden');
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('publish:orders.1'),
    });
  });

  test('503 and 429: Retry-After', async () => {
    const away = await send('/v1/errors/unavailable');
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '1']);
    const limited = await send('/v1/errors/limit');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    expect(await limited.json()).toMatchObject({ retryAfterSeconds: 7, retryable: true });
  });

  test('a bug: 500 internal, the text only in the log', async () => {
    const response = await send('/v1/errors/bug');
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'internal' });
    expect(text).not.toContain('inner text');
    expect(logged).toContain('inner text');
  });

  test('a bug after the answer began: the connection is cut, not ended well', async () => {
    await expect(send('/v1/errors/late').then((response) => response.text())).rejects.toThrow();
  });

  test('path that cannot be decoded: 400', async () => {
    const response = await send('/v1/errors/%zz');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_query' });
  });
});

describe('body', () => {
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    send('/v1/echo', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
  const gzip = { 'content-encoding': 'gzip' };

  test('as large as allowed, plain or gzip: read whole', async () => {
    const text = 'x'.repeat(BODY_BYTES_MAX);
    expect(await (await post(text)).text()).toBe(text);
    expect(await (await post(gzipSync(text), gzip)).text()).toBe(text);
    expect(await (await post(null)).text()).toBe('');
  });

  test.each([
    ['one byte more', 'x'.repeat(BODY_BYTES_MAX + 1), {}, 413],
    ['without a length', new Blob(['x'.repeat(200_000)]).stream(), {}, 413],
    ['gzip that inflates beyond', gzipSync('x'.repeat(BODY_BYTES_MAX + 1)), gzip, 413],
    ['no gzip', 'rubbish', gzip, 400],
    ['another encoding', 'x', { 'content-encoding': 'br' }, 415],
  ] as const)('%s: refused', async (_, body, headers, status) => {
    const response = await post(body, headers);
    expect(response.status).toBe(status);
    expect(Object.keys((await response.json()) as object)).toContain('code');
  });

  test('connection cut in the middle of a body: the server goes on', async () => {
    const socket = connect(port, '127.0.0.1');
    const head = `POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`;
    socket.write(`${head}Content-Length: 100\r\n\r\nhalf`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.resetAndDestroy();
    await once(socket, 'close');
    expect((await send('/v1/echo')).status).toBe(200);
  });
});
