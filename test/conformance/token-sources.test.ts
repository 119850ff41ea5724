import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { signToken } from '@tidemark/auth';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEST_SECRET } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';

/* PROTOCOL.md section 8.1: where the keys of tokens come from, asked of services as processes. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Key {
  readonly alg: 'RS256' | 'ES256';
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function makeKey(alg: Key['alg'], kid: string): Key {
  const { publicKey, privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { alg, kid, publicKey, privateKey };
}

/** A token as an issuer makes it, without the library that the services use. */
function tokenOf({ alg, kid, privateKey }: Key, claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const iat = Math.floor(Date.now() / 1000);
  const input = `${encode({ alg, kid })}.${encode({ iat, exp: iat + 600, ...claims })}`;
  const options = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${sign('sha256', Buffer.from(input), options).toString('base64url')}`;
}

describe('services whose tokens come from an issuer', () => {
  const [first, second] = [makeKey('RS256', 'first'), makeKey('ES256', 'second')];
  const onFile = makeKey('ES256', 'on-file');
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-keys-'));
  const published: Key[] = [first];
  let issuer: Server;
  let system: System;

  beforeAll(async () => {
    issuer = createServer((_request, response) => {
      const keys = published.map(({ publicKey, kid }) => ({
        ...publicKey.export({ format: 'jwk' }),
        kid,
      }));
      response.end(JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const file = join(folder, 'key.pem');
    writeFileSync(file, onFile.publicKey.export({ type: 'spki', format: 'pem' }));
    system = await startSystem({
      env: {
        TIDEMARK_TOKEN_JWKS_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`,
        TIDEMARK_TOKEN_JWKS_COOLDOWN_SECONDS: '1',
        TIDEMARK_TOKEN_PUBLIC_KEYS: file,
        TIDEMARK_TOKEN_SCOPE_CLAIM: 'permissions',
        TIDEMARK_TOKEN_GRANTS: 'subscribe:user.{sub}.> history:user.{sub}.>',
        TIDEMARK_TOKEN_SECRET: '',
        TIDEMARK_RECORD_SECRET: TEST_SECRET,
      },
    });
  });

  afterAll(async () => {
    await system.stop();
    issuer.closeAllConnections();
    issuer.close();
    rmSync(folder, { recursive: true });
  });

  async function publish(token: string): Promise<number> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ type: 'orders.1', data: 1 });
    const url = `${system.ingest.url}/v1/events`;
    return (await fetch(url, { method: 'POST', headers, body })).status;
  }

  async function subscribe(token: string, topics: string): Promise<number> {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${system.gateway.url}/v1/sse?topics=${topics}`, { headers });
    let text = '';
    for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += bytes;
      if (text.includes('\nid: ') || text.includes('event: error')) break;
    }
    // What is away is told inside a stream; here it must not be taken for one that is open.
    expect(text).not.toContain('event: error');
    return response.status;
  }

  const claims = { sub: 'alice', permissions: ['publish:orders.*'] };

  test('key of the JWK set, key on file: tokens of both are accepted', async () => {
    expect(await publish(tokenOf(first, claims))).toBe(201);
    expect(await publish(tokenOf(onFile, claims))).toBe(201);
  });

  test('key that the issuer adds: accepted without a restart; a stranger is not', async () => {
    published.push(second);
    await expect
      .poll(() => publish(tokenOf(second, claims)), { timeout: 5000, interval: 200 })
      .toBe(201);
    expect(await publish(tokenOf(makeKey('ES256', 'second'), claims))).toBe(401);
  });

  test('HS256 token: refused, since no secret is set', async () => {
    const token = await signToken({
      secret: TEST_SECRET,
      subject: 'alice',
      scope: 'publish:>',
      ttlSeconds: 60,
    });
    expect(await publish(token)).toBe(401);
  });

  test('subject of an identity provider: has an inbox, and no other token has it', async () => {
    const provided = tokenOf(first, { sub: 'auth0|x' });
    expect(await subscribe(provided, 'user.auth0_-7c-_x.>')).toBe(200);
    expect(await subscribe(provided, 'user.auth0.>')).toBe(403);
    const imitator = tokenOf(first, { sub: 'auth0_-7c-_x' });
    expect(await subscribe(imitator, 'user.auth0_-7c-_x.>')).toBe(403);
    expect(await subscribe(tokenOf(first, { sub: '*' }), 'user.*.>')).toBe(403);
  });

  test('key that the issuer replaces under its id: accepted without a restart', async () => {
    for (const key of [makeKey('ES256', 'third'), makeKey('ES256', 'third')]) {
      published.splice(2, 1, key);
      await expect
        .poll(() => publish(tokenOf(key, claims)), { timeout: 5000, interval: 200 })
        .toBe(201);
    }
  });

  test('iat with a fraction, as some libraries write it: valid at once', async () => {
    const iat = Math.floor(Date.now() / 1000) + 0.999;
    expect(await publish(tokenOf(first, { ...claims, iat }))).toBe(201);
  });

  test('grants of every token: the own topics and no others', async () => {
    const alice = tokenOf(first, { sub: 'alice' });
    expect(await subscribe(alice, 'user.alice.>')).toBe(200);
    expect(await subscribe(alice, 'user.bob.>')).toBe(403);
    expect(await subscribe(alice, 'user.>')).toBe(403);
    expect(await subscribe(tokenOf(first, { sub: '*' }), 'user.*.>')).toBe(403);
    expect(await subscribe(tokenOf(first, { sub: 'alice.bob' }), 'user.alice.bob.>')).toBe(403);
  });

  test('issuer away: tokens of the keys that are known go on', async () => {
    issuer.closeAllConnections();
    await new Promise((resolve) => issuer.close(resolve));
    expect(await publish(tokenOf(first, { ...claims, sub: 'bob' }))).toBe(201);
    expect(await publish(tokenOf(second, { ...claims, sub: 'bob' }))).toBe(201);
  });
});

test('issuer that does not answer: what needs its keys is put off in time, and counted', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const system = await startSystem({
    env: {
      TIDEMARK_TOKEN_JWKS_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`,
      TIDEMARK_TOKEN_JWKS_TIMEOUT_MS: '300',
      TIDEMARK_TOKEN_SECRET: '',
      TIDEMARK_RECORD_SECRET: TEST_SECRET,
    },
  });
  const headers = { authorization: `Bearer ${tokenOf(makeKey('ES256', 'any'), { sub: 'alice' })}` };
  const startMs = performance.now();
  const [posted, history, stream] = await Promise.all([
    fetch(`${system.ingest.url}/v1/events`, { method: 'POST', headers }),
    fetch(`${system.replay.url}/v1/events`, { headers }),
    fetch(`${system.gateway.url}/v1/sse?topics=a`, { headers }),
  ]);
  expect([posted.status, history.status, stream.status]).toEqual([503, 503, 200]);
  expect(posted.headers.get('retry-after')).toBe('1');
  expect(await stream.text()).toContain('event: error\ndata: {"code":"unavailable"');
  expect(performance.now() - startMs).toBeLessThan(2000);
  for (const service of [system.ingest, system.replay, system.gateway]) {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/tidemark_limits_hit_total\{.*"jwks_time".*\} [1-9]/);
  }
  await system.stop();
  silent.closeAllConnections();
  silent.close();
});

describe('start', () => {
  const strong = { TIDEMARK_TOKEN_SECRET: TEST_SECRET };
  test.each<[string, Record<string, string>, string]>([
    ['no source of keys', {}, 'TIDEMARK_TOKEN_SECRET is not set'],
    ['old secret that is weak', { ...strong, TIDEMARK_TOKEN_OLD_SECRETS: 'weak' }, 'has 4 bytes'],
    [
      'JWK set over plain http',
      { TIDEMARK_TOKEN_JWKS_URL: 'http://id.example/jwks' },
      'TIDEMARK_TOKEN_JWKS_URL must begin with https://',
    ],
    [
      'key file that is not there',
      { TIDEMARK_TOKEN_PUBLIC_KEYS: '/nowhere/key.pem' },
      '/nowhere/key.pem cannot be read (ENOENT)',
    ],
    [
      'grant of admin to all',
      { ...strong, TIDEMARK_TOKEN_GRANTS: 'admin' },
      'admin is not a permission',
    ],
    [
      'proxy that is no address',
      { ...strong, TIDEMARK_TRUSTED_PROXIES: 'nginx' },
      'nginx is neither an address',
    ],
    ['every origin', { ...strong, TIDEMARK_ALLOWED_ORIGINS: '*' }, '* is not an origin'],
    ['origin null', { ...strong, TIDEMARK_ALLOWED_ORIGINS: 'null' }, 'null is not an origin'],
    [
      'NATS user without a password',
      { ...strong, TIDEMARK_NATS_USER: 'tidemark' },
      'TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD must be set together',
    ],
    [
      'NATS URL with a password',
      { ...strong, NATS_URL: 'nats://tidemark:pass-word@127.0.0.1:4222' },
      'NATS_URL must hold no user and no password',
    ],
    [
      'JWK set address with a password',
      { TIDEMARK_TOKEN_JWKS_URL: 'https://user:pass-word@id.example/jwks' },
      'TIDEMARK_TOKEN_JWKS_URL must hold no user and no password',
    ],
    [
      'authority of NATS that is not there',
      { ...strong, TIDEMARK_NATS_TLS_CA: '/nowhere/ca.pem' },
      'TIDEMARK_NATS_TLS_CA=/nowhere/ca.pem cannot be read (ENOENT)',
    ],
  ])('%s: refused by every service, in plain lines, exit code 1', (_, env, line) => {
    for (const name of ['gateway', 'ingest', 'replay']) {
      const folder = mkdtempSync(join(tmpdir(), 'tidemark-refused-'));
      const { status, stderr } = spawnSync(process.execPath, [`services/${name}/dist/main.js`], {
        cwd: ROOT,
        encoding: 'utf8',
        timeout: 10_000,
        env: {
          PATH: process.env.PATH,
          [`TIDEMARK_${name.toUpperCase()}_PORT`]: '0',
          TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
          ...env,
        },
      });
      rmSync(folder, { recursive: true });
      expect(status, name).toBe(1);
      expect(stderr).toContain(line);
      expect(stderr).not.toMatch(/^\s+at |pass-word/m);
    }
  });
});
