import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createVerifier, type TokenVerifier } from './verifier.ts';

const ALGORITHMS = { RS256: 'RS256', PS256: 'PS256', ES256: 'ES256', EdDSA: 'EdDSA' } as const;

interface Signer {
  readonly jwk: JWK;
  sign(header?: Record<string, unknown>): Promise<string>;
}

async function makeSigner(alg: keyof typeof ALGORITHMS, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) },
    sign: (header = { kid }) =>
      new SignJWT({ sub: 'alice' })
        .setProtectedHeader({ alg, ...header })
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

/** An issuer as a real HTTP server, whose answers a test changes. */
const issuer = {
  keys: [] as JWK[],
  status: 200,
  body: undefined as string | undefined,
  requests: 0,
  failures: [] as string[],
};
let server: Server;
let url: string;

beforeEach(async () => {
  Object.assign(issuer, { keys: [], status: 200, body: undefined, requests: 0, failures: [] });
  server = createServer((_request, response) => {
    issuer.requests++;
    const headers = issuer.status === 302 ? { location: '/elsewhere' } : {};
    response.writeHead(issuer.status, headers);
    response.end(issuer.body ?? JSON.stringify({ keys: issuer.keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
});

afterEach(() => close());

async function close(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function open(options: { cacheSeconds?: number; cooldownSeconds?: number } = {}): TokenVerifier {
  const { cacheSeconds = 600, cooldownSeconds = 0 } = options;
  const onFailure = (reason: string) => issuer.failures.push(reason);
  return createVerifier({
    remote: { url, cacheSeconds, cooldownSeconds, timeoutMs: 1000, onFailure },
  });
}

const refused = { code: 'unauthenticated' };

describe('JWK set by URL', () => {
  test.each(Object.keys(ALGORITHMS) as (keyof typeof ALGORITHMS)[])(
    '%s key: its tokens are accepted, fetched once',
    async (algorithm) => {
      const signer = await makeSigner(algorithm, 'one');
      issuer.keys = [signer.jwk];
      const verifier = open();
      const tokens = await Promise.all([signer.sign(), signer.sign({ kid: 'one', typ: 'JWT' })]);
      for (const token of tokens) expect((await verifier.verify(token)).subject).toBe('alice');
      expect(issuer.requests).toBe(1);
    },
  );

  test('key that was rotated in: accepted after one more fetch', async () => {
    const [old, young] = [await makeSigner('ES256', 'old'), await makeSigner('ES256', 'young')];
    issuer.keys = [old.jwk];
    const verifier = open();
    await verifier.verify(await old.sign());
    issuer.keys = [young.jwk];
    await verifier.verify(await young.sign());
    expect(issuer.requests).toBe(2);
    await expect(verifier.verify(await old.sign({ kid: 'old', typ: 'x' }))).rejects.toMatchObject(
      refused,
    );
  });

  test('many unknown key ids within the cooldown: refused without a further fetch', async () => {
    const signer = await makeSigner('ES256', 'known');
    issuer.keys = [signer.jwk];
    const verifier = open({ cooldownSeconds: 60 });
    await verifier.verify(await signer.sign());
    for (let n = 0; n < 20; n++) {
      const token = await signer.sign({ kid: `unknown-${n}` });
      await expect(verifier.verify(token)).rejects.toMatchObject(refused);
    }
    expect(issuer.requests).toBe(1);
  });

  test('issuer away after the first fetch: cached keys go on, also beyond the cache time', async () => {
    const signer = await makeSigner('ES256', 'one');
    issuer.keys = [signer.jwk];
    const verifier = open({ cacheSeconds: 0 });
    await verifier.verify(await signer.sign());
    await close();
    for (let n = 0; n < 3; n++) {
      const token = await signer.sign({ kid: 'one', n });
      expect((await verifier.verify(token)).subject).toBe('alice');
    }
    await expect.poll(() => issuer.failures.length).toBeGreaterThan(0);
    await expect(verifier.verify(await signer.sign({ kid: 'new' }))).rejects.toMatchObject(refused);
  });

  test.each([
    ['500', { status: 500 }],
    ['redirect', { status: 302 }],
    ['no JSON', { body: 'rubbish' }],
    ['no JWK set', { body: '{"keys":"none"}' }],
    ['too large', { body: ' '.repeat(300_000) }],
  ])('answer that is bad (%s): the last set goes on', async (_, answer) => {
    const signer = await makeSigner('ES256', 'one');
    issuer.keys = [signer.jwk];
    const verifier = open({ cacheSeconds: 0 });
    await verifier.verify(await signer.sign());
    Object.assign(issuer, answer);
    await verifier.verify(await signer.sign({ kid: 'one', n: 1 }));
    await expect.poll(() => issuer.failures.length).toBeGreaterThan(0);
    expect((await verifier.verify(await signer.sign({ kid: 'one', n: 2 }))).subject).toBe('alice');
  });

  test('issuer away from the start: unavailable, asked at most once a second', async () => {
    issuer.status = 503;
    const verifier = open();
    const signer = await makeSigner('ES256', 'one');
    for (let n = 0; n < 5; n++) {
      await expect(verifier.verify(await signer.sign())).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
      });
    }
    expect(issuer.requests).toBe(1);
  });

  test('token without a key id, several keys: the right one is found, and no other', async () => {
    const [one, two] = [await makeSigner('ES256', 'one'), await makeSigner('ES256', 'two')];
    const stranger = await makeSigner('ES256', 'stranger');
    issuer.keys = [one.jwk, two.jwk];
    const verifier = open();
    expect((await verifier.verify(await two.sign({}))).subject).toBe('alice');
    await expect(verifier.verify(await stranger.sign({}))).rejects.toMatchObject(refused);
  });

  test('a key on file of the same type: both work, and the set is not asked for its tokens', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-keys-'));
    const file = join(folder, 'key.pem');
    const [here, there] = [await makeSigner('ES256'), await makeSigner('ES256', 'there')];
    const pem = createPublicKey({ key: here.jwk as never, format: 'jwk' });
    writeFileSync(file, pem.export({ type: 'spki', format: 'pem' }));
    issuer.keys = [there.jwk];
    const remote = { url, cacheSeconds: 600, cooldownSeconds: 0, timeoutMs: 1000 };
    const both = createVerifier({
      publicKeyFiles: [file],
      remote: { ...remote, onFailure: (reason) => issuer.failures.push(reason) },
    });
    expect((await both.verify(await here.sign({}))).subject).toBe('alice');
    expect(issuer.requests).toBe(0);
    expect((await both.verify(await there.sign())).subject).toBe('alice');
    rmSync(folder, { recursive: true });
  });

  test.each(['http://id.example/jwks', 'ftp://id.example', 'file:///etc/passwd', 'rubbish'])(
    '%s: refused at the start',
    (address) => {
      url = address;
      expect(() => open()).toThrow(/TIDEMARK_TOKEN_JWKS_URL must begin with https/);
    },
  );
});
