import { createPublicKey, generateKeyPairSync } from 'node:crypto';
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
  /** Begins to answer, and does not go on. */
  hang: false,
  requests: 0,
  failures: [] as string[],
  late: 0,
};
let server: Server;
let url: string;

beforeEach(async () => {
  Object.assign(issuer, { keys: [], status: 200, body: undefined, hang: false });
  Object.assign(issuer, { requests: 0, failures: [], late: 0 });
  server = createServer((_request, response) => {
    issuer.requests++;
    const headers = issuer.status === 302 ? { location: '/elsewhere' } : {};
    response.writeHead(issuer.status, headers);
    if (issuer.hang) {
      response.write('{"keys":');
      return;
    }
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

interface Timing {
  readonly cacheSeconds?: number;
  readonly cooldownSeconds?: number;
  readonly timeoutMs?: number;
}

function open(timing: Timing = {}): TokenVerifier {
  const { cacheSeconds = 600, cooldownSeconds = 0, timeoutMs = 1000 } = timing;
  return createVerifier({ remote: { url, cacheSeconds, cooldownSeconds, timeoutMs, ...observer } });
}

const observer = {
  onFailure: (reason: string) => issuer.failures.push(reason),
  onLate: () => issuer.late++,
};

function shortRsaKey(): object {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  return publicKey.export({ format: 'jwk' });
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

  test('token with a key id, keys without one: accepted as from a file', async () => {
    const signer = await makeSigner('ES256');
    const named = await makeSigner('ES256', 'named');
    issuer.keys = [signer.jwk, named.jwk];
    const verifier = open({ cooldownSeconds: 60 });
    expect((await verifier.verify(await signer.sign({ kid: 'any' }))).subject).toBe('alice');
    expect((await verifier.verify(await named.sign())).subject).toBe('alice');
    expect(issuer.requests).toBe(1);
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-keys-'));
    const file = join(folder, 'keys.json');
    writeFileSync(file, JSON.stringify({ keys: issuer.keys }));
    const onFile = createVerifier({ publicKeyFiles: [file] });
    expect((await onFile.verify(await signer.sign({ kid: 'any' }))).subject).toBe('alice');
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['the same key id', 'same'],
    ['no key id', undefined],
  ])('key that was replaced under %s: accepted after one more fetch', async (_, kid) => {
    const [old, young] = [await makeSigner('ES256', kid), await makeSigner('ES256', kid)];
    issuer.keys = [old.jwk];
    const verifier = open();
    await verifier.verify(await old.sign());
    issuer.keys = [young.jwk];
    expect((await verifier.verify(await young.sign())).subject).toBe('alice');
    expect(issuer.requests).toBe(2);
  });

  test('many wrong signatures within the cooldown: refused without a further fetch', async () => {
    const [signer, other] = [await makeSigner('ES256', 'a'), await makeSigner('ES256', 'a')];
    issuer.keys = [signer.jwk];
    const verifier = open({ cooldownSeconds: 60 });
    await verifier.verify(await signer.sign());
    for (let n = 0; n < 20; n++) {
      const token = await other.sign({ kid: 'a', n });
      await expect(verifier.verify(token)).rejects.toMatchObject(refused);
    }
    expect(issuer.requests).toBe(1);
  });

  test('tokens at once, of keys that are not known yet: one fetch for all', async () => {
    const [old, young] = [await makeSigner('ES256', 'a'), await makeSigner('ES256', 'b')];
    issuer.keys = [old.jwk];
    const verifier = open();
    await verifier.verify(await old.sign());
    issuer.keys = [young.jwk];
    const tokens = await Promise.all([1, 2, 3].map((n) => young.sign({ kid: 'b', n })));
    await Promise.all(tokens.map((token) => verifier.verify(token)));
    expect(issuer.requests).toBe(2);
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

  test('issuer that answers in part and then nothing: unavailable in time, and told', async () => {
    issuer.hang = true;
    const verifier = open({ timeoutMs: 200 });
    const startMs = performance.now();
    const token = await (await makeSigner('ES256', 'one')).sign();
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(issuer.failures).toEqual(['the answer took longer than 200 ms']);
    expect(issuer.late).toBe(1);
  });

  test.each<[string, object]>([
    ['too short an RSA key', shortRsaKey()],
    ['no point of the curve', { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' }],
    ['numbers for texts', { kty: 'EC', crv: 'P-256', x: 1, y: 2 }],
    ['a secret', { kty: 'oct', k: 'AAAA', alg: 'ES256' }],
    ['nothing but a name', { kty: 'RSA' }],
  ])('key that cannot be used (%s): its tokens are refused, others accepted', async (_, jwk) => {
    const [good, bad] = [await makeSigner('ES256', 'good'), await makeSigner('ES256', 'bad')];
    issuer.keys = [{ ...jwk, kid: 'bad' } as JWK, good.jwk];
    const verifier = open();
    const claims = { sub: 'alice', exp: 4_102_444_800 };
    for (const alg of ['ES256', 'RS256', 'EdDSA', 'HS256', 'none']) {
      const parts = [{ alg, kid: 'bad' }, claims].map((part) => JSON.stringify(part));
      const [header, payload] = parts.map((part) => Buffer.from(part).toString('base64url'));
      const forged = `${header}.${payload}.${'A'.repeat(86)}`;
      await expect(verifier.verify(forged)).rejects.toMatchObject(refused);
    }
    await expect(verifier.verify(await bad.sign())).rejects.toMatchObject(refused);
    expect((await verifier.verify(await good.sign())).subject).toBe('alice');
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
    const timing = { cacheSeconds: 600, cooldownSeconds: 0, timeoutMs: 1000 };
    const both = createVerifier({
      publicKeyFiles: [file],
      remote: { url, ...timing, ...observer },
    });
    expect((await both.verify(await here.sign({}))).subject).toBe('alice');
    expect(issuer.requests).toBe(0);
    expect((await both.verify(await there.sign())).subject).toBe('alice');
    rmSync(folder, { recursive: true });
  });

  test('address with a password: refused at the start, and not told', () => {
    url = 'https://user:pass-word@id.example/jwks';
    expect(() => open()).toThrow(/must hold no user and no password/);
    expect(() => open()).not.toThrow(/pass-word/);
  });

  test.each(['http://id.example/jwks', 'ftp://id.example', 'file:///etc/passwd', 'rubbish'])(
    '%s: refused at the start',
    (address) => {
      url = address;
      expect(() => open()).toThrow(/TIDEMARK_TOKEN_JWKS_URL must begin with https/);
    },
  );
});
