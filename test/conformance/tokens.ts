import { createHmac } from 'node:crypto';
import { keepSecret, makeToken, TEST_SECRET } from '../support/services.ts';

/** Every token that any test used. */
export const used = new Set<string>();

export async function token(scope: string, subject = 'alice', ttlSeconds = 60): Promise<string> {
  return remember(await makeToken(scope, subject, ttlSeconds));
}

export function remember(text: string): string {
  used.add(text);
  return keepSecret(text);
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** A token as somebody without a library writes one. */
function forge(header: object, claims: object, secret: string | undefined): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = secret ? createHmac('sha256', secret).update(signed).digest('base64url') : '';
  return remember(`${signed}.${signature}`);
}

const HS256 = { alg: 'HS256', typ: 'JWT' };
const CLAIMS = { sub: 'eve', scope: 'subscribe:> publish:>', exp: 4_102_444_800 };

/** Tokens that nobody may come in with, and the code that each is refused with. */
export const refusedTokens: [what: string, make: () => string | Promise<string>, code: string][] = [
  ['rubbish', () => remember('rubbish'), 'unauthenticated'],
  ['another secret', () => forge(HS256, CLAIMS, `${TEST_SECRET}!`), 'unauthenticated'],
  ['alg none', () => forge({ alg: 'none', typ: 'JWT' }, CLAIMS, undefined), 'unauthenticated'],
  ['alg none, signed', () => forge({ alg: 'none' }, CLAIMS, TEST_SECRET), 'unauthenticated'],
  ['another alg', () => forge({ alg: 'HS512' }, CLAIMS, TEST_SECRET), 'unauthenticated'],
  ['no alg', () => forge({ typ: 'JWT' }, CLAIMS, TEST_SECRET), 'unauthenticated'],
  ['no exp', () => forge(HS256, { ...CLAIMS, exp: undefined }, TEST_SECRET), 'unauthenticated'],
  ['no sub', () => forge(HS256, { ...CLAIMS, sub: undefined }, TEST_SECRET), 'unauthenticated'],
  ['an nbf to come', () => forge(HS256, { ...CLAIMS, nbf: 4e9 }, TEST_SECRET), 'unauthenticated'],
  [
    'claims changed after signing',
    async () => {
      const [head, , signature] = (await token('subscribe:a')).split('.');
      return remember(`${head}.${encode(CLAIMS)}.${signature}`);
    },
    'unauthenticated',
  ],
  ['expired', () => token('subscribe:> publish:>', 'alice', -10), 'token_expired'],
];
