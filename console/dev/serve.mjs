import { createReadStream, existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fakeAdmin } from './fake-admin.mjs';

/*
 * Serves console/dist as a gateway does, with the same policy, and a fake of the admin API, to look at states that are hard to
 * bring about. Requests that the fake does not know go to real services where these are given:
 *   GATEWAY_URL=http://127.0.0.1:8080 REPLAY_URL=http://127.0.0.1:8082 node console/dev/serve.mjs [port]
 * Any three words with dots between them are a token: `admin.x.x` is an operator, and any other has no `admin`.
 */

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const AT_REPLAY = /^\/v1\/(events|topics|inbox|export|admin\/(erasures|rebuild))/;

const server = createServer((message, response) => {
  const { pathname } = new URL(message.url ?? '/', 'http://localhost');
  if (pathname.startsWith('/console/')) serveFile(pathname.slice('/console/'.length), response);
  else if (!fakeAdmin(message, response)) forward(message, response);
});
server.on('upgrade', (message, socket, head) => {
  const { host: _, ...headers } = message.headers;
  const sent = request(new URL(message.url ?? '/', process.env.GATEWAY_URL), { headers });
  sent.on('upgrade', (answer, upstream, rest) => {
    const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
    socket.write(rest);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  sent.on('response', () => socket.destroy());
  sent.on('error', () => socket.destroy());
  sent.end();
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : '';
  console.log(`http://127.0.0.1:${port}/console/#token=admin.x.x`);
});

/** @param {string} path @param {import('node:http').ServerResponse} response */
function serveFile(path, response) {
  if (path === 'configuration.json') {
    const known = { version: '0.1.0', gateway: null, replay: null, traces: true };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(known));
    return;
  }
  const file = join(DIST, normalize(`/${path || 'index.html'}`));
  if (!existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', TYPES[/** @type {'.js'} */ (extname(file))] ?? 'text/plain');
  response.setHeader('content-security-policy', POLICY);
  createReadStream(file).pipe(response);
}

/** @param {import('node:http').IncomingMessage} message @param {import('node:http').ServerResponse} response */
function forward(message, response) {
  const isReplay = AT_REPLAY.test(message.url ?? '');
  const url = isReplay ? process.env.REPLAY_URL : process.env.GATEWAY_URL;
  if (!url) {
    const body = { code: 'not_found', message: 'The fake has no such call.', retryable: false };
    response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    return;
  }
  const { host: _, ...headers } = message.headers;
  const options = { method: message.method ?? 'GET', headers };
  const sent = request(new URL(message.url ?? '/', url), options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  sent.on('error', () => response.writeHead(502).end());
  response.on('close', () => sent.destroy());
  message.pipe(sent);
}
