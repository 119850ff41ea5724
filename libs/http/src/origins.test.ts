import { createVerifier, RevocationList, signToken } from '@tidemark/auth';
import { createLogger, Metrics } from '@tidemark/telemetry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { createAuthentication } from './authentication.ts';
import { parseOrigins } from './origins.ts';
import { HttpServer } from './server.ts';

const secret = 'a secret of more than thirty-two bytes';
const PAGE = 'https://app.example';
const logger = createLogger('test', 'silent');

interface Running {
  readonly base: string;
  stop(): Promise<void>;
}

const noRevocations = new RevocationList({
  tokenLifetimeSecondsMax: 3600,
  tokenClockToleranceSeconds: 0,
});
noRevocations.complete();

async function run(allowed: string): Promise<Running> {
  const origins = parseOrigins(allowed);
  const app = createApp({
    logger,
    metrics: new Metrics('test', { defaults: false }),
    authenticate: createAuthentication({
      verifier: createVerifier({ secret }),
      cookieName: 'tidemark',
      revocations: noRevocations,
      origins,
    }),
    origins,
    checks: {},
    endpoints: [
      {
        path: '/v1/who',
        methods: {
          GET: {
            summary: 'For a test',
            answers: { 200: { means: 'It works.' } },
            serve: (_request, response, { subject }) => void response.json({ subject }),
          },
        },
      },
    ],
  });
  const http = new HttpServer(app, logger);
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  return { base: `http://127.0.0.1:${port}`, stop: () => http.stop(0) };
}

let open: Running;
let closed: Running;
let token = '';

beforeAll(async () => {
  [open, closed] = await Promise.all([run(`${PAGE}, http://localhost:3000`), run('')]);
  token = await signToken({ secret, subject: 'alice', scope: '', ttlSeconds: 60 });
});

afterAll(() => Promise.all([open.stop(), closed.stop()]));

function ask({ base }: Running, headers: Record<string, string>, method = 'GET') {
  return fetch(`${base}/v1/who`, { method, headers });
}

const bearer = () => ({ authorization: `Bearer ${token}` });
const cookie = () => ({ cookie: `tidemark=${token}` });

describe('origins: pages are named', () => {
  test('a page that is named: is answered with CORS headers, errors too', async () => {
    for (const [headers, status] of [
      [bearer(), 200],
      [{}, 401],
    ] as const) {
      const answer = await ask(open, { ...headers, origin: PAGE });
      expect(answer.status).toBe(status);
      expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  test.each([
    'https://evil.example',
    'null',
    'https://app.example.evil.example',
    'https://app.example:8443',
    'http://app.example',
    'https://APP.example',
    '',
  ])('page %j: 403 without CORS headers, whatever it brings', async (origin) => {
    for (const headers of [bearer(), cookie(), {}]) {
      const answer = await ask(open, { ...headers, origin });
      expect(answer.status).toBe(403);
      expect(answer.headers.has('access-control-allow-origin')).toBe(false);
    }
  });

  test('no page: token counts, and there are no CORS headers', async () => {
    const answer = await ask(open, bearer());
    expect(answer.status).toBe(200);
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
    expect(answer.headers.get('vary')).toContain('Origin');
  });

  test('preflight: answered without a token, with the headers that were asked for', async () => {
    const asked = { 'access-control-request-method': 'GET', origin: PAGE };
    const names = 'authorization, last-event-id';
    const answer = await ask(
      open,
      { ...asked, 'access-control-request-headers': names },
      'OPTIONS',
    );
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-headers')).toBe(names);
    expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
    const odd = { ...asked, 'access-control-request-headers': 'a b; c' };
    expect((await ask(open, odd, 'OPTIONS')).headers.has('access-control-allow-headers')).toBe(
      false,
    );
    const foreign = await ask(open, { ...asked, origin: 'https://evil.example' }, 'OPTIONS');
    expect(foreign.status).toBe(403);
  });

  test('health: is for no page, and answers without CORS headers', async () => {
    const answer = await fetch(`${open.base}/healthz`, { headers: { origin: PAGE } });
    expect(answer.status).toBe(200);
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
  });
});

describe('origins: none is named', () => {
  test('any page: token counts, without CORS headers; a preflight is no request', async () => {
    const answer = await ask(closed, { ...bearer(), origin: PAGE });
    expect(answer.status).toBe(200);
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
    expect(answer.headers.has('vary')).toBe(false);
    const preflight = { 'access-control-request-method': 'GET', origin: PAGE };
    expect((await ask(closed, preflight, 'OPTIONS')).status).toBe(405);
  });
});

describe('cookie', () => {
  test.each<[string, 'open' | 'closed', Record<string, string>, number]>([
    ['page that is named', 'open', { origin: PAGE }, 200],
    ['own page, as the browser says', 'open', { 'sec-fetch-site': 'same-origin' }, 200],
    ['own page, none named', 'closed', { 'sec-fetch-site': 'same-origin' }, 200],
    ['some page, none named', 'closed', { origin: PAGE }, 401],
    [
      'some page that claims to be the own, none named',
      'closed',
      { origin: PAGE, 'sec-fetch-site': 'same-origin' },
      401,
    ],
    ['neighbour', 'open', { 'sec-fetch-site': 'same-site' }, 401],
    ['another site', 'open', { 'sec-fetch-site': 'cross-site' }, 401],
    ['address bar', 'open', { 'sec-fetch-site': 'none' }, 401],
    ['no word of where it comes from', 'open', {}, 401],
  ])('%s (%s): %j: %i', async (_, which, headers, status) => {
    const server = which === 'open' ? open : closed;
    expect((await ask(server, { ...cookie(), ...headers })).status).toBe(status);
  });
});

test.each(['*', 'null', 'app.example', 'https://app.example/', 'https://a.example/x', 'ftp://a'])(
  'origins: %s: refused at the start',
  (text) => {
    expect(() => parseOrigins(`${PAGE},${text}`)).toThrow(/TIDEMARK_ALLOWED_ORIGINS/);
  },
);
