import { createHmac } from 'node:crypto';
import { ConfigurationError } from '@tidemark/config';
import { describe, expect, test } from 'vitest';
import { signToken } from './signing.ts';
import { createVerifier } from './verifier.ts';

const secret = 'a secret of more than thirty-two bytes';
const verifier = createVerifier({ secret });
const token = { secret, subject: 'alice', scope: 'publish:orders.> admin', ttlSeconds: 60 };

/** A token with any header and claims, made without the library that the verifier uses. */
function forge(header: object, claims: object, key = secret): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

const header = { alg: 'HS256', typ: 'JWT' };
const exp = Math.floor(Date.now() / 1000) + 60;

describe('verifier: a good token', () => {
  test('signed here: becomes the principal with its grants', async () => {
    const nowMs = Date.now();
    const principal = await verifier.verify(await signToken({ ...token, nowMs }));
    expect(principal).toMatchObject({
      subject: 'alice',
      grants: [{ action: 'publish', pattern: 'orders.>' }],
      admin: true,
      expiresAtMs: (Math.floor(nowMs / 1000) + 60) * 1000,
    });
    expect(principal.tokenId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('signed by another party without scope: permits nothing', async () => {
    const principal = await verifier.verify(forge(header, { sub: 'bob', exp }));
    expect(principal).toEqual({
      subject: 'bob',
      grants: [],
      admin: false,
      expiresAtMs: exp * 1000,
    });
  });

  test('issuer and audience configured: accepted only with both', async () => {
    const strict = createVerifier({ secret, issuer: 'https://id.example', audience: 'tidemark' });
    const both = { ...token, issuer: 'https://id.example', audience: 'tidemark' };
    expect((await strict.verify(await signToken(both))).subject).toBe('alice');
    for (const wrong of [token, { ...both, issuer: 'other' }, { ...both, audience: 'other' }]) {
      await expect(strict.verify(await signToken(wrong))).rejects.toMatchObject({
        code: 'unauthenticated',
      });
    }
  });
});

describe('verifier: a bad token', () => {
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
    JSON.stringify({ sub: 'alice', exp }),
  ).toString('base64url')}.`;
  test.each([
    ['empty', ''],
    ['no token at all', 'rubbish'],
    ['unsigned', none],
    ['another algorithm named', forge({ alg: 'HS512' }, { sub: 'alice', exp })],
    ['another key', forge(header, { sub: 'alice', exp }, `${secret}!`)],
    ['without exp', forge(header, { sub: 'alice' })],
    ['exp no number', forge(header, { sub: 'alice', exp: 'tomorrow' })],
    ['without sub', forge(header, { exp })],
    ['empty sub', forge(header, { sub: '', exp })],
    ['sub with a line feed', forge(header, { sub: 'a\nb', exp })],
    ['sub too long', forge(header, { sub: 'a'.repeat(257), exp })],
    ['not yet valid', forge(header, { sub: 'alice', exp, nbf: exp })],
  ])('%s: unauthenticated, the text without the token', async (_, bad) => {
    const error: Error = await verifier.verify(bad).then(
      () => expect.fail('accepted'),
      (reason) => reason,
    );
    expect(error).toMatchObject({ code: 'unauthenticated' });
    if (bad !== '') expect(`${error.message}${error.stack}`).not.toContain(bad);
  });

  test('payload changed after signing: unauthenticated', async () => {
    const [head, , signature] = (await signToken(token)).split('.');
    const [, payload] = forge(header, { sub: 'root', exp }).split('.');
    await expect(verifier.verify(`${head}.${payload}.${signature}`)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  test('past its time: token_expired, retryable', async () => {
    const late = createVerifier({ secret, now: () => Date.now() + 61_000 });
    await expect(late.verify(await signToken(token))).rejects.toMatchObject({
      code: 'token_expired',
      retryable: true,
    });
  });
});

describe('secret', () => {
  test.each([
    ['', 'is not set'],
    ['x'.repeat(31), 'has 31 bytes'],
  ])('%j: refused with a line that names the variable', async (short, text) => {
    const expected = new RegExp(`TIDEMARK_TOKEN_SECRET ${text}`);
    expect(() => createVerifier({ secret: short })).toThrow(ConfigurationError);
    expect(() => createVerifier({ secret: short })).toThrow(expected);
    await expect(signToken({ ...token, secret: short })).rejects.toThrow(expected);
  });
});
