import { readdirSync } from 'node:fs';
import { get } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type System, startSystem } from '../support/system.ts';

/* The client library as a gateway serves it: PROTOCOL 8.4. */

const FILES = readdirSync(new URL('../../libs/client/dist/browser/', import.meta.url));

interface Answer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

describe('files of the client library', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system?.stop());

  /** Not `fetch`, which asks for its own encodings and takes them off. */
  const ask = (path: string, headers: Record<string, string> = {}) =>
    new Promise<Answer>((resolve, reject) => {
      get(`${system.gateway.url}${path}`, { headers }, async (response) => {
        const body = Buffer.concat(await response.toArray());
        resolve({ status: response.statusCode, headers: response.headers, body });
      }).once('error', reject);
    });

  test.each(FILES)('%s: a page of any origin may load it, without a token', async (name) => {
    const { status, headers, body } = await ask(`/${name}`, { origin: 'https://app.example' });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
      vary: 'Accept-Encoding',
    });
    expect(headers['content-encoding']).toBeUndefined();
    expect(body.toString()).toMatch(/export ?\{/);
  });

  test.each([
    ['br', 'gzip, deflate, br', brotliDecompressSync],
    ['gzip', 'gzip, br;q=0', gunzipSync],
  ])('compressed by %s: where the client takes it', async (encoding, accepted, open) => {
    const plain = await ask('/client.js');
    const compressed = await ask('/client.js', { 'accept-encoding': accepted });
    expect(compressed.headers['content-encoding']).toBe(encoding);
    expect(compressed.body.length).toBeLessThan(plain.body.length / 2);
    expect(open(compressed.body)).toEqual(plain.body);
  });

  test('ETag: who has the file gets 304, by the encoding that it has', async () => {
    const { headers } = await ask('/client.js', { 'accept-encoding': 'br' });
    const known = { 'if-none-match': String(headers.etag) };
    const again = await ask('/client.js', { ...known, 'accept-encoding': 'br' });
    expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, headers.etag]);
    expect((await ask('/client.js', known)).status).toBe(200);
  });

  test('another method, and another file: are refused', async () => {
    const post = await fetch(`${system.gateway.url}/client.js`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await ask('/client-.js')).status).toBe(404);
    expect((await ask('/client-..%2fpackage.json')).status).toBe(404);
  });

  test('module: works as a program would import it', async () => {
    const { body } = await ask('/client.js');
    const module = await import(`data:text/javascript;base64,${body.toString('base64')}`);
    expect(Object.keys(module).sort()).toEqual(
      expect.arrayContaining([
        'TidemarkClientError',
        'connect',
        'localStorageStore',
        'memoryStore',
      ]),
    );
  });
});
