import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createVerifier } from './verifier.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const claims = { sub: 'alice', exp: Math.floor(Date.now() / 1000) + 60 };

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function makeToken(header: { alg: string; kid?: string }, key: KeyObject): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const digest = header.alg === 'EdDSA' ? null : 'sha256';
  const padding = header.alg.startsWith('PS') ? { padding: 6, saltLength: 32 } : {};
  const options = { key, dsaEncoding: 'ieee-p1363', ...padding } as const;
  return `${input}.${sign(digest, Buffer.from(input), options).toString('base64url')}`;
}

let files = 0;
function write(text: string): string {
  const file = join(folder, `keys-${files++}`);
  writeFileSync(file, text);
  return file;
}

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const jwk = (key: KeyObject) => key.export({ format: 'jwk' });

describe('public keys', () => {
  const all = write([rsa, ec, ed].map(({ publicKey }) => pem(publicKey)).join('\n'));
  const verifier = createVerifier({ publicKeyFiles: [all] });

  test.each([
    ['RS256', rsa],
    ['PS256', rsa],
    ['ES256', ec],
    ['EdDSA', ed],
  ] as const)('PEM: %s: accepted with and without a key id', async (alg, { privateKey }) => {
    expect((await verifier.verify(makeToken({ alg }, privateKey))).subject).toBe('alice');
    const named = makeToken({ alg, kid: 'any' }, privateKey);
    expect((await verifier.verify(named)).subject).toBe('alice');
  });

  test.each([
    ['RS384', rsa],
    ['RS512', rsa],
    ['PS512', rsa],
  ] as const)('%s: an algorithm beyond the pinned ones: refused', async (alg, { privateKey }) => {
    const token = makeToken({ alg }, privateKey);
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('HMAC with the text of a public key as its secret: refused', async () => {
    const input = `${encode({ alg: 'HS256' })}.${encode(claims)}`;
    for (const { publicKey } of [rsa, ec, ed]) {
      const signature = createHmac('sha256', pem(publicKey)).update(input).digest('base64url');
      for (const beside of [{}, { secret: 'a secret of more than thirty-two bytes' }]) {
        const mixed = createVerifier({ publicKeyFiles: [all], ...beside });
        await expect(mixed.verify(`${input}.${signature}`)).rejects.toMatchObject({
          code: 'unauthenticated',
        });
      }
    }
  });

  test('unsigned: refused', async () => {
    for (const alg of ['none', 'None', '']) {
      const token = `${encode({ alg })}.${encode(claims)}.`;
      await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });

  test('JWK set: key id and algorithm of a key: hold', async () => {
    const keys = [{ ...jwk(rsa.publicKey), kid: 'r', alg: 'RS256' }, jwk(ec.publicKey)];
    const narrow = createVerifier({ publicKeyFiles: [write(JSON.stringify({ keys }))] });
    const accepted = makeToken({ alg: 'RS256', kid: 'r' }, rsa.privateKey);
    expect((await narrow.verify(accepted)).subject).toBe('alice');
    for (const header of [
      { alg: 'PS256', kid: 'r' },
      { alg: 'RS256', kid: 's' },
    ]) {
      await expect(narrow.verify(makeToken(header, rsa.privateKey))).rejects.toMatchObject({
        code: 'unauthenticated',
      });
    }
  });

  const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  test.each([
    ['a private key', ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['a private key', JSON.stringify(jwk(ec.privateKey))],
    ['a secret', '{"kty":"oct","k":"c2VjcmV0"}'],
    ['an RSA key of 1024 bits', pem(short.publicKey)],
    ['a key that is neither RSA nor P-256 nor Ed25519', pem(p384.publicKey)],
    ['no key', 'rubbish'],
    ['no key', ''],
    ['something that is not a public key', '{"keys":[null]}'],
    ['something that is not a public key', '{"kty":'],
  ])('file that holds %s: refused at the start, without its text', (fault, text) => {
    const file = write(text);
    const open = () => createVerifier({ publicKeyFiles: [file] });
    expect(open).toThrow(new RegExp(`TIDEMARK_TOKEN_PUBLIC_KEYS: ${file} .*${fault}`));
    try {
      open();
    } catch (error) {
      if (text.length > 10) expect(String(error)).not.toContain(text.slice(5, 40));
    }
  });

  test('file that is not there: refused at the start', () => {
    expect(() => createVerifier({ publicKeyFiles: ['/nowhere'] })).toThrow(/cannot be read/);
  });
});
