import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { extname, join } from 'node:path';
import { readSettings } from '../../../examples/settings.mjs';
import { codeOf, Failure } from '../../../infra/launcher/failure.mjs';

/** What a user of the examples may do. */
const scopeOf = (/** @type {string} */ user) =>
  `subscribe:example.> publish:example.> history:example.> inbox:> subscribe:user.${user}.> publish:user.${user}.>`;

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** Pages load nothing from elsewhere. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";

/** @typedef {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void} Handler */

/**
 * Serves the page of an example, tokens for its users, what its `server.mjs` answers, and Tidemark behind it.
 *
 * @param {string} name its folder
 * @param {number} port 0: any
 */
export async function openSite(name, port) {
  const folder = join(import.meta.dirname, name);
  const settings = await readSettings(scopeOf('server'), 'server');
  const own = existsSync(join(folder, 'server.mjs'))
    ? await (await import(join(folder, 'server.mjs'))).start(settings)
    : undefined;
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });

  /** @type {(...args: Parameters<Handler>) => Promise<void>} */
  async function answer(request, response) {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const target = serviceOf(request.method ?? '', pathname, settings);
    if (target) return forward(target, request, response);
    // A real application knows its user from its own session.
    if (pathname === '/token') {
      const user = searchParams.get('user') ?? 'alice';
      const { token } = await readSettings(scopeOf(user), user);
      response.end(token);
    } else if (pathname.startsWith('/api/') && own) own.handle(request, response);
    else await sendFile(folder, pathname, response);
  }

  server.on('upgrade', (request, socket, head) => tunnel(settings.gateway, request, socket, head));
  await new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        codeOf(error) === 'EADDRINUSE'
          ? new Failure(`Port ${port} is in use: --port takes another.`)
          : error,
      ),
    );
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  const bound = /** @type {import('node:net').AddressInfo} */ (server.address()).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    async close() {
      await own?.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * As nginx.conf has it.
 *
 * @param {string} method
 * @param {string} path
 * @param {import('../../../examples/settings.mjs').Settings} settings
 */
function serviceOf(method, path, { gateway, ingest, replay }) {
  if (path === '/v1/events' && method === 'POST') return ingest;
  if (/^\/v1\/(?:events|topics|inbox)\b/.test(path)) return replay;
  if (path.startsWith('/v1/') || /^\/client(?:-\w+)?\.js$/.test(path)) return gateway;
  return undefined;
}

/** @param {string} target @param {Parameters<Handler>[0]} incoming @param {Parameters<Handler>[1]} response */
function forward(target, incoming, response) {
  const { method, headers } = incoming;
  if (isOwnOrigin(incoming)) delete headers.origin;
  const outgoing = request(`${target}${incoming.url}`, { method, headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(response);
  });
  outgoing.once('error', () => response.destroy());
  response.once('close', () => outgoing.destroy());
  incoming.pipe(outgoing);
}

/**
 * To the services this site is one of their own pages, whatever TIDEMARK_ALLOWED_ORIGINS says of others.
 *
 * @param {import('node:http').IncomingMessage} request
 */
function isOwnOrigin({ headers: { origin, host } }) {
  return origin === `http://${host}`;
}

/**
 * @param {string} target
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:stream').Duplex} socket
 * @param {Buffer} head
 */
function tunnel(target, request, socket, head) {
  const { hostname, port } = new URL(target);
  const upstream = connect(Number(port), hostname, () => {
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      const name = request.rawHeaders[at];
      if (name?.toLowerCase() === 'origin' && isOwnOrigin(request)) continue;
      lines.push(`${name}: ${request.rawHeaders[at + 1]}`);
    }
    upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  upstream.once('error', () => socket.destroy());
  socket.once('error', () => upstream.destroy());
}

/** @param {string} folder @param {string} path @param {Parameters<Handler>[1]} response */
async function sendFile(folder, path, response) {
  const name = path === '/' ? 'index.html' : path.slice(1);
  const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(name))];
  const file = join(name === 'style.css' ? import.meta.dirname : folder, name);
  const source = file.replace(/\.js$/, '.jsx');
  if (!type || !/^[\w.-]+$/.test(name) || !(existsSync(file) || existsSync(source))) {
    response.writeHead(404).end();
    return;
  }
  const body = existsSync(file) ? await readFile(file) : await bundle(source);
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
}

/** What a build tool does. @param {string} file */
async function bundle(file) {
  const { rolldown } = await import('rolldown');
  const built = await rolldown({
    input: file,
    logLevel: 'silent',
    transform: { define: { 'process.env.NODE_ENV': '"production"' } },
  });
  const { output } = await built.generate({ format: 'esm', minify: true, codeSplitting: false });
  await built.close();
  return output[0].code;
}
