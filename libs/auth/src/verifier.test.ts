import { createHmac } from 'node:crypto';
import { ConfigurationError } from '@tidemark/config';
import { describe, expect, test, vi } from 'vitest';
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

/** A token whose signature covers one part more than it may have. */
function withPart(token: string): string {
  return `${token}.${createHmac('sha256', secret).update(token).digest('base64url')}`;
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

  test('signed with a secret: checked without asking WebCrypto, which takes another thread', async () => {
    const asked = vi.spyOn(crypto.subtle, 'verify');
    const { subject } = await verifier.verify(forge(header, { sub: 'carol', exp }));
    expect(subject).toBe('carol');
    expect(asked).not.toHaveBeenCalled();
    asked.mockRestore();
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

describe('verifier: what is configured', () => {
  const claims = { sub: 'alice', exp };

  test('old secrets: accepted beside the present one until they are taken out', async () => {
    const old = 'the secret from before the rotation of keys';
    const rotating = createVerifier({ secret, oldSecrets: [old] });
    expect((await rotating.verify(forge(header, claims, old))).subject).toBe('alice');
    expect((await rotating.verify(forge(header, claims))).subject).toBe('alice');
    await expect(verifier.verify(forge(header, claims, old))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  test.each<[unknown, string[]]>([
    ['publish:a  publish:b', ['a', 'b']],
    [
      ['publish:a', 'publish:b'],
      ['a', 'b'],
    ],
    [['publish:a publish:b', 7, null, 'publish:c'], ['c']],
    [{ publish: 'a' }, []],
    [undefined, []],
  ])('scope in another claim: %j: grants %j', async (permissions, expected) => {
    const other = createVerifier({ secret, scopeClaim: 'https://id.example/permissions' });
    const scope = 'publish:never admin';
    const token = forge(header, {
      ...claims,
      scope,
      'https://id.example/permissions': permissions,
    });
    const { grants, admin } = await other.verify(token);
    expect(grants.map(({ pattern }) => pattern)).toEqual(expected);
    expect(admin).toBe(false);
  });

  test('grants of every token: beside those of the scope', async () => {
    const templated = createVerifier({ secret, grants: 'subscribe:user.{sub}.>' });
    const { grants } = await templated.verify(forge(header, { ...claims, scope: 'publish:a' }));
    expect(grants).toEqual([
      { action: 'publish', pattern: 'a' },
      { action: 'subscribe', pattern: 'user.alice.>' },
    ]);
    const provided = await templated.verify(forge(header, { ...claims, sub: 'auth0|x.*' }));
    expect(provided.grants).toContainEqual({
      action: 'subscribe',
      pattern: 'user.auth0_-7c-_x_-2e2a-_.>',
    });
  });

  test('clock tolerance: exp, nbf and iat within it are accepted, beyond it not', async () => {
    const tolerant = createVerifier({ secret, clockToleranceSeconds: 10 });
    const now = Math.floor(Date.now() / 1000);
    for (const near of [{ exp: now - 5 }, { nbf: now + 5 }, { iat: now + 5 }]) {
      const token = forge(header, { ...claims, ...near });
      expect((await tolerant.verify(token)).subject).toBe('alice');
      await expect(verifier.verify(token)).rejects.toThrow();
    }
    for (const far of [{ exp: now - 15 }, { nbf: now + 15 }, { iat: now + 15 }]) {
      await expect(tolerant.verify(forge(header, { ...claims, ...far }))).rejects.toThrow();
    }
  });

  test('iat and nbf with a fraction in this second: valid; from the next second on: not yet, retryable', async () => {
    const nowMs = 1_800_000_000_100;
    const clocked = createVerifier({ secret, now: () => nowMs });
    const within = { sub: 'alice', exp: 1_800_000_060.5 };
    for (const early of [{ iat: 1_800_000_000.9 }, { nbf: 1_800_000_000.9 }]) {
      expect((await clocked.verify(forge(header, { ...within, ...early }))).subject).toBe('alice');
    }
    for (const seconds of [1_800_000_001, 1_800_000_001.5, 1_900_000_000]) {
      for (const early of [{ iat: seconds }, { nbf: seconds }]) {
        await expect(clocked.verify(forge(header, { ...within, ...early }))).rejects.toMatchObject({
          code: 'unauthenticated',
          retryable: true,
          message: expect.stringContaining('not yet valid'),
        });
      }
    }
  });

  test('exp with a fraction: valid until then', async () => {
    const at = (nowMs: number) =>
      createVerifier({ secret, now: () => nowMs }).verify(
        forge(header, { sub: 'alice', exp: 1_800_000_000.5 }),
      );
    expect((await at(1_800_000_000_499)).expiresAtMs).toBe(1_800_000_000_500);
    for (const late of [1_800_000_000_500, 1_800_000_010_000]) {
      await expect(at(late)).rejects.toMatchObject({ code: 'token_expired' });
    }
  });

  test('longest lifetime: a token beyond it is refused, with iat and without', async () => {
    const strict = createVerifier({ secret, lifetimeSecondsMax: 3600 });
    const now = Math.floor(Date.now() / 1000);
    const good = { ...claims, iat: now - 3000, exp: now + 600 };
    expect((await strict.verify(forge(header, good))).issuedAtMs).toBe(good.iat * 1000);
    for (const times of [{ iat: now - 3000, exp: now + 601 }, { exp: now + 3700 }]) {
      await expect(strict.verify(forge(header, { ...claims, ...times }))).rejects.toMatchObject({
        code: 'unauthenticated',
      });
    }
  });

  test('token that was checked a moment ago: expires all the same', async () => {
    let nowMs = Date.now();
    const clocked = createVerifier({ secret, now: () => nowMs });
    const token = forge(header, claims);
    const first = await clocked.verify(token);
    expect(await clocked.verify(token)).toBe(first);
    nowMs += 61_000;
    await expect(clocked.verify(token)).rejects.toMatchObject({ code: 'token_expired' });
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
    ['sub of a webhook', forge(header, { sub: 'hook:github', exp })],
    [
      'too long, though it is signed',
      forge(header, { sub: 'alice', exp, more: 'x'.repeat(16_384) }),
    ],
    ['sub too long', forge(header, { sub: 'a'.repeat(257), exp })],
    ['jti no text', forge(header, { sub: 'alice', exp, jti: 7 })],
    ['issued in the future', forge(header, { sub: 'alice', exp, iat: exp })],
    ['not yet valid', forge(header, { sub: 'alice', exp, nbf: exp })],
    ['a critical extension', forge({ ...header, crit: ['x'], x: 1 }, { sub: 'alice', exp })],
    ['payload not encoded', forge({ ...header, crit: ['b64'], b64: false }, { sub: 'alice', exp })],
    ['a part too many, though it is signed', withPart(forge(header, { sub: 'alice', exp }))],
    ['claims no object', forge(header, [{ sub: 'alice', exp }])],
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
  test('no source of keys: refused', () => {
    expect(() => createVerifier({})).toThrow(/TIDEMARK_TOKEN_SECRET is not set/);
  });

  test('old secret that is short: refused with the variable', () => {
    const oldSecrets = ['short'];
    expect(() => createVerifier({ secret, oldSecrets })).toThrow(
      /TIDEMARK_TOKEN_OLD_SECRETS has 5/,
    );
  });

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
