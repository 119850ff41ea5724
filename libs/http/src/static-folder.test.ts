import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metrics } from '@tidemark/telemetry';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { HttpServer } from './server.ts';
import { staticFolder } from './static-folder.ts';

const logger = pino({ level: 'silent' });
const SCRIPT = 'console.log("a script");\n'.repeat(100);

let folder: string;
const servers: HttpServer[] = [];
let built = '';
let missing = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-static-'));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'icon.svg'), '<svg/>');
  writeFileSync(join(folder, 'assets', 'main-1a2b.js'), SCRIPT);
  built = await serve(folder);
  missing = await serve(join(folder, 'none'));
});
afterAll(async () => {
  for (const server of servers) await server.stop(0);
  rmSync(folder, { recursive: true });
});

async function serve(from: string): Promise<string> {
  const app = createApp({
    logger,
    metrics: new Metrics('test', { defaults: false }),
    authenticate: () => Promise.reject(new Error('unused')),
    checks: {},
    endpoints: [],
    pages: staticFolder({
      folder: from,
      path: '/page/',
      headers: { 'Content-Security-Policy': "default-src 'none'" },
      missing: 'It is not built.',
    }),
  });
  const server = new HttpServer(app, logger);
  servers.push(server);
  return `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
}

test('the page: with its headers, asked for again each time, answered with 304', async () => {
  const response = await fetch(`${built}/page/`);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe('<!doctype html>');
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'",
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-cache',
  });
  const tag = response.headers.get('etag') ?? '';
  const again = await fetch(`${built}/page/`, { headers: { 'if-none-match': tag } });
  expect(again.status).toBe(304);
});

test('an asset with a hash in its name: kept for good, and compressed for whoever takes that', async () => {
  for (const [accepted, encoding] of [
    ['br', 'br'],
    ['gzip', 'gzip'],
    ['identity', null],
  ] as const) {
    const headers = { 'accept-encoding': accepted };
    const response = await fetch(`${built}/page/assets/main-1a2b.js`, { headers });
    expect(response.headers.get('content-encoding')).toBe(encoding);
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(await response.text()).toBe(SCRIPT);
    const size = Number(response.headers.get('content-length'));
    if (encoding) expect(size).toBeLessThan(SCRIPT.length / 10);
    else expect(size).toBe(SCRIPT.length);
  }
});

test('without its last slash: redirected to where relative addresses are right', async () => {
  const response = await fetch(`${built}/page`, { redirect: 'manual' });
  expect(response.status).toBe(308);
  expect(response.headers.get('location')).toBe('/page/');
});

test.each([
  'none.js',
  'assets/none.js',
  'assets/',
  'assets/..%2Findex.html',
  '..%2F..%2Fpackage.json',
  '%2e%2e/index.html',
  'main-1a2b.js',
  'constructor',
])('what is not in the folder (%s): 404', async (path) => {
  const response = await fetch(`${built}/page/${path}`);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: 'not_found' });
});

test('a folder that is not there: 404 that says what is missing', async () => {
  for (const path of ['', 'index.html', 'assets/a.js']) {
    const response = await fetch(`${missing}/page/${path}`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ message: 'It is not built.' });
  }
});

test('another method: 405', async () => {
  expect((await fetch(`${built}/page/`, { method: 'POST' })).status).toBe(405);
});
