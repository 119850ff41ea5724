import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { readBody } from './body.ts';
import { answerEmpty, answerJson } from './json-answer.ts';
import { HttpServer } from './server.ts';

const logger = pino({ level: 'silent' });
const metrics = new Metrics('test', { defaults: false });
const described = { summary: 'For a test', answers: { 200: { means: 'It works.' } } };
const BODY_BYTES_MAX = 100_000;

/** Bytes that each body has taken from its budget. */
const taken: number[] = [];

async function readText(request: IncomingMessage): Promise<string> {
  let bytes = 0;
  const take = (more: number) => {
    bytes += more;
  };
  const body = await readBody(request, { bytesMax: BODY_BYTES_MAX, take });
  taken.push(bytes);
  return body.toString();
}

const app = createApp({
  logger,
  metrics,
  origins: new Set(['https://app.example']),
  async authenticate({ headers }) {
    if (headers?.authorization !== 'Bearer alice')
      throw new TidemarkError('unauthenticated', 'Who?');
    const principal = { subject: 'alice', grants: [], admin: false };
    return { ...principal, expiresAtMs: Number.POSITIVE_INFINITY };
  },
  checks: {},
  checkHost({ headers }) {
    if (headers.host === 'other') throw new TidemarkError('forbidden', 'Not under this name.');
  },
  endpoints: [
    {
      path: '/v1/bare',
      methods: {
        POST: {
          ...described,
          bare: true,
          async serve(request, response) {
            const text = await readText(request);
            if (text === 'none') answerEmpty(response, 204, ['X-Of', 'test']);
            else answerJson(response, 201, JSON.stringify({ text }), ['X-Of', 'test']);
          },
        },
        DELETE: {
          ...described,
          bare: true,
          serve(_request, response) {
            response.setHeader('X-Of', 'test');
            throw new TidemarkError('unavailable', 'Later.');
          },
        },
        PUT: {
          ...described,
          bare: true,
          async serve() {
            await sleep(1);
            throw new Error('A fault of the service.');
          },
        },
      },
    },
    {
      path: '/v1/echo',
      methods: {
        POST: {
          ...described,
          async serve(request, response) {
            const text = await readText(request);
            answerJson(response, 201, JSON.stringify({ text, ...request.query }));
          },
        },
        DELETE: {
          ...described,
          serve() {
            throw new TidemarkError('unavailable', 'Later.');
          },
        },
      },
    },
  ],
});
const http = new HttpServer(app, logger);
let socket: Socket;
let received = '';

beforeAll(async () => {
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.on('data', (bytes) => {
    received += bytes;
  });
});
afterAll(async () => {
  socket.destroy();
  await http.stop(0);
});

interface Sent {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: string;
  readonly host?: string;
  readonly pieces?: readonly (string | Buffer)[];
}

/** Sends the head together with the first piece of the body, and then the others, each in a packet of its own. */
async function exchange(sent: Sent) {
  const { method = 'POST', target = '/v1/echo', headers = '', host = 'h', pieces = [] } = sent;
  received = '';
  const length = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  const chunked = headers.includes('chunked');
  const size = chunked ? '' : `Content-Length: ${length}\r\n`;
  const [first = '', ...rest] = pieces;
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${size}${headers}\r\n`;
  socket.write(Buffer.concat([Buffer.from(head), Buffer.from(first)]));
  for (const piece of rest) {
    await sleep(20);
    socket.write(piece);
  }
  while (!isWhole(received)) await once(socket, 'data');
  const [top = '', body = ''] = received.split('\r\n\r\n');
  const [status = '', ...lines] = top.split('\r\n');
  return { status: Number(status.split(' ')[1]), headers: lines.filter(isSteady).sort(), body };
}

function isWhole(answer: string): boolean {
  const [head = '', body] = answer.split('\r\n\r\n');
  // An answer without a body has no length.
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return body !== undefined && Buffer.byteLength(body) >= length;
}

function isSteady(header: string): boolean {
  return !/^(?:date|keep-alive):/i.test(header);
}

const ALICE = 'Authorization: Bearer alice\r\n';

const CASES: readonly [string, Sent][] = [
  ['served', { headers: ALICE, pieces: ['ü'] }],
  ['no token', { pieces: ['a'] }],
  ['the page of an allowed origin', { headers: `${ALICE}Origin: https://app.example\r\n` }],
  ['the page of another origin', { headers: `${ALICE}Origin: https://evil.example\r\n` }],
  ['another host', { host: 'other', headers: ALICE }],
  ['an endpoint that fails', { method: 'DELETE', headers: ALICE }],
  ['another method', { method: 'PATCH', headers: ALICE }],
  [
    'a preflight',
    {
      method: 'OPTIONS',
      headers:
        'Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n' +
        'Access-Control-Request-Headers: Authorization, X-Of\r\n',
    },
  ],
];

describe('the shortcut to an endpoint', () => {
  test.each(CASES)('%s: answers as with a query, which takes the long way', async (_, sent) => {
    const short = await exchange(sent);
    const long = await exchange({ ...sent, target: '/v1/echo?' });
    expect(short).toEqual(long);
  });

  test.each<[string, Sent]>([
    ...CASES,
    ['no body in the answer', { headers: ALICE, pieces: ['none'] }],
    ['no body in the request', { headers: ALICE }],
    ['a body in pieces', { headers: ALICE, pieces: ['one', ' two'] }],
    ['a body that is too large', { headers: ALICE, pieces: ['x'.repeat(BODY_BYTES_MAX + 1)] }],
    ['a fault of the service', { method: 'PUT', headers: ALICE }],
  ])('%s, without Express: the same answer', async (_, sent) => {
    const short = await exchange({ ...sent, target: '/v1/bare' });
    const long = await exchange({ ...sent, target: '/v1/bare?' });
    expect(short).toEqual(long);
    const { headers } = short;
    expect(headers).toContain('X-Content-Type-Options: nosniff');
    expect(headers).toContain('Cache-Control: no-store');
    expect(new Set(headers).size).toBe(headers.length);
  });

  test('without Express: the client leaves before the answer: the next one is served', async () => {
    const port = (http.server.address() as AddressInfo).port;
    const leaving = connect({ port, host: '127.0.0.1' });
    await once(leaving, 'connect');
    leaving.end(`PUT /v1/bare HTTP/1.1\r\nHost: h\r\n${ALICE}Content-Length: 5\r\n\r\n`);
    leaving.destroy();
    const { status } = await exchange({ headers: ALICE, target: '/v1/bare', pieces: ['a'] });
    expect(status).toBe(201);
  });

  test('metrics: the route has its name on both ways', async () => {
    const text = await metrics.registry.metrics();
    const ways = text.matchAll(/http_answers_total\{route="(.*?)",status="(.*?)".*\} (\d+)\n/g);
    const figures = Array.from(ways, ([, ...labels]) => labels.join(' ')).sort();
    expect(figures.filter((figure) => !figure.startsWith('/v1/bare'))).toEqual([
      '/v1/echo 201 4',
      '/v1/echo 401 2',
      '/v1/echo 405 2',
      '/v1/echo 503 2',
      'none 204 4',
      'none 403 8',
    ]);
    // The client that left had no answer, of which the status would be known.
    expect(figures.filter((figure) => figure.startsWith('/v1/bare'))).toEqual(
      expect.arrayContaining([
        '/v1/bare 201 9',
        '/v1/bare 204 2',
        '/v1/bare 401 2',
        '/v1/bare 405 2',
        '/v1/bare 413 2',
        '/v1/bare 503 2',
      ]),
    );
  });

  test('a query: reaches the endpoint', async () => {
    const { body } = await exchange({ target: '/v1/echo?a=1', headers: ALICE });
    expect(JSON.parse(body)).toEqual({ text: '', a: '1' });
  });
});

describe.each(['/v1/echo', '/v1/bare'])('bodies by how they arrive: %s', (target) => {
  const long = 'x'.repeat(BODY_BYTES_MAX - 7);

  test.each<[string, Sent, string]>([
    ['with the headers', { pieces: ['one two'] }, 'one two'],
    ['after the headers', { pieces: ['', 'one two'] }, 'one two'],
    ['in pieces', { pieces: ['one', ' ', 'two'] }, 'one two'],
    ['none', {}, ''],
    ['the largest, at once', { pieces: [`one two${long}`] }, `one two${long}`],
    ['the largest, in pieces', { pieces: ['one two', long] }, `one two${long}`],
    [
      'chunks, at once',
      { headers: 'Transfer-Encoding: chunked\r\n', pieces: ['3\r\none\r\n4\r\n two\r\n0\r\n\r\n'] },
      'one two',
    ],
    [
      'chunks, in pieces',
      {
        headers: 'Transfer-Encoding: chunked\r\n',
        pieces: ['3\r\none\r\n', '4\r\n two\r\n', '0\r\n\r\n'],
      },
      'one two',
    ],
    [
      'gzip, at once',
      { headers: 'Content-Encoding: gzip\r\n', pieces: [gzipSync('one two')] },
      'one two',
    ],
  ])(
    '%s: read whole, its memory counted, and the connection is used again',
    async (_, sent, text) => {
      for (let n = 0; n < 2; n++) {
        const { status, body } = await exchange({
          ...sent,
          target,
          headers: ALICE + (sent.headers ?? ''),
        });
        expect(status).toBe(201);
        expect(JSON.parse(body)).toEqual({ text });
        expect(taken.at(-1)).toBeGreaterThanOrEqual(text.length);
      }
    },
  );

  test('chunks beyond the limit, at once: refused', async () => {
    const size = BODY_BYTES_MAX + 1;
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;
    const headers = `${ALICE}Transfer-Encoding: chunked\r\n`;
    expect(await exchange({ target, headers, pieces: [chunk] })).toMatchObject({ status: 413 });
  });

  test('several requests in one packet: each has its own body, and the answers their order', async () => {
    received = '';
    const texts = ['one', 'two', 'three'];
    const requests = texts.map((text) => {
      const head = `POST ${target} HTTP/1.1\r\nHost: h\r\n${ALICE}`;
      return `${head}Content-Length: ${text.length}\r\n\r\n${text}`;
    });
    socket.write(requests.join(''));
    const read = () => Array.from(received.matchAll(/\{"text":"(.*?)"\}/g), ([, text]) => text);
    await expect.poll(read).toEqual(texts);
    expect(taken.slice(-3)).toEqual([3, 3, 5]);
  });
});
