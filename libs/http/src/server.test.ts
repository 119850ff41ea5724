import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, request } from 'node:http';
import { connect } from 'node:net';
import { json } from 'node:stream/consumers';
import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { refuseUpgrade } from './error-response.ts';
import { HttpServer } from './server.ts';

const logger = createLogger('test', 'silent');
const local = { host: '127.0.0.1', port: 0 };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Answers `/slow` after 200 ms, `/endless` never, anything else at once. */
const application: RequestListener = ({ url }, response) => {
  if (url === '/endless') response.write('begun');
  else setTimeout(() => response.end('done'), url === '/slow' ? 200 : 0);
};

test('stop: a request is running: it is answered, nothing new is taken', async () => {
  const http = new HttpServer(application, logger);
  const url = `http://127.0.0.1:${await http.listen(local)}`;
  await (await fetch(`${url}/first`)).text();
  const slow = fetch(`${url}/slow`);
  await wait(50);
  const startMs = performance.now();
  const stopped = http.stop(5_000);
  await expect(fetch(`${url}/late`)).rejects.toThrow();
  const answer = await slow;
  expect(await answer.text()).toBe('done');
  expect(answer.headers.get('connection')).toBe('close');
  await stopped;
  expect(performance.now() - startMs).toBeLessThan(2_000);
});

test('stop: an answer does not end: it is cut when the drain is over', async () => {
  const http = new HttpServer(application, logger);
  const answer = await fetch(`http://127.0.0.1:${await http.listen(local)}/endless`);
  const startMs = performance.now();
  await http.stop(200);
  expect(performance.now() - startMs).toBeGreaterThan(150);
  await expect(answer.text()).rejects.toThrow();
});

test('listen: port in use: one sentence that names it', async () => {
  const first = new HttpServer(application, logger);
  const port = await first.listen(local);
  const second = new HttpServer(application, logger);
  const error = await second.listen({ ...local, port }).catch((reason) => reason);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.faults).toEqual([`127.0.0.1:${port} is in use by another process`]);
  await first.stop(0);
});

test('upgrade refused: the client reads the status, the headers and the JSON', async () => {
  const http = new HttpServer(application, logger);
  http.server.on('upgrade', (_request, socket) => {
    refuseUpgrade(socket, new TidemarkError('unavailable', 'Füll.', { retryAfterSeconds: 3 }));
  });
  const port = await http.listen(local);
  const headers = { connection: 'upgrade', upgrade: 'websocket' };
  const [response] = (await once(request({ port, headers }).end(), 'response')) as [
    IncomingMessage,
  ];
  expect(response.statusCode).toBe(503);
  expect(response.headers).toMatchObject({ 'retry-after': '3', connection: 'close' });
  expect(await json(response)).toMatchObject({ code: 'unavailable', message: 'Füll.' });
  await http.stop(100);
});

test('upgrade while an answer is under way: the socket is closed, and nothing is upgraded', async () => {
  let answer = (): void => {};
  const http = new HttpServer((_request, response) => {
    answer = () => void response.end('the answer of the first request');
  }, logger);
  let upgrades = 0;
  http.onUpgrade((_request, socket) => {
    upgrades++;
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  });
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  const upgrade = GET.replace('Host', 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost');
  const attacking = connect(port, '127.0.0.1').on('error', () => {});
  let received = '';
  attacking.on('data', (bytes) => {
    received += bytes;
  });
  const closed = once(attacking, 'close');
  attacking.write(GET + upgrade);
  setTimeout(() => answer(), 100);
  await closed;
  expect(received).not.toContain('101');
  expect(upgrades).toBe(0);
  const usual = connect(port, '127.0.0.1');
  usual.write(upgrade);
  expect(String(await once(usual, 'data'))).toContain('101');
  usual.destroy();
  await http.stop(0);
});

test('upgrade while the answer to a second request is under way: the socket is closed, and nothing is upgraded', async () => {
  const answers: (() => void)[] = [];
  const http = new HttpServer((_request, response) => {
    answers.push(() => void response.end('an answer'));
  }, logger);
  let upgrades = 0;
  http.onUpgrade(() => upgrades++);
  const attacking = connect(await http.listen(local), '127.0.0.1').on('error', () => {});
  const closed = once(attacking, 'close');
  attacking.write(GET + GET);
  await expect.poll(() => answers.length).toBe(2);
  answers[0]?.();
  await once(attacking, 'data');
  attacking.write(GET.replace('Host', 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost'));
  await closed;
  expect(upgrades).toBe(0);
  await http.stop(0);
});

test('requests without waiting for answers: some are answered in order', async () => {
  const http = new HttpServer(({ url }, response) => void response.end(`answer ${url}`), logger);
  const client = connect(await http.listen(local), '127.0.0.1');
  let received = '';
  client.on('data', (bytes) => {
    received += bytes;
  });
  client.write([1, 2, 3, 4].map((n) => GET.replace('/', `/${n}`)).join(''));
  await expect
    .poll(() => received.match(/answer .\d/g))
    .toEqual(['answer /1', 'answer /2', 'answer /3', 'answer /4']);
  client.destroy();
  await http.stop(0);
});

test('requests without waiting for answers: a flood of them: the socket is closed, few are processed', async () => {
  let requests = 0;
  const hits: string[] = [];
  const http = new HttpServer(
    (_request, response) => {
      requests++;
      response.end('done');
    },
    logger,
    { limits: { hit: (limit) => hits.push(limit) } },
  );
  const attacking = connect(await http.listen(local), '127.0.0.1').on('error', () => {});
  const closed = once(attacking, 'close');
  attacking.on('data', () => {}).write(GET.repeat(1000));
  await closed;
  expect(requests).toBeLessThan(20);
  expect(hits).toEqual(['answers_per_socket']);
  await http.stop(0);
});
