import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import {
  type CheckSignature,
  createSignatureCheck,
  readSecret,
  type SignatureStyle,
} from './signature.ts';

const SECRET = 'a secret that only the test knows';
const BODY = '{"id":"evt_1"}';

interface Sent {
  readonly body?: string;
  readonly nowMs?: number;
}

function checkFor(style: SignatureStyle, ...secrets: string[]): CheckSignature {
  return createSignatureCheck(
    style,
    secrets.map((secret) => readSecret(secret, style)),
  );
}

function accepts(
  check: CheckSignature,
  headers: IncomingHttpHeaders,
  { body = BODY, nowMs = 0 }: Sent = {},
): boolean {
  try {
    check({ headers, body: Buffer.from(body), nowMs });
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'unauthenticated' });
    return false;
  }
}

function sign(text: string, secret: string | Uint8Array = SECRET, algorithm = 'sha256'): Buffer {
  return createHmac(algorithm, secret).update(text).digest();
}

describe('GitHub', () => {
  // The example of "Validating webhook deliveries" in GitHub's documentation.
  const secret = "It's a Secret to Everybody";
  const body = 'Hello, World!';
  const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const check = checkFor({ style: 'github' }, secret);

  test('the published example: is accepted', () => {
    expect(accepts(check, { 'x-hub-signature-256': signature }, { body })).toBe(true);
  });

  test.each([
    ['another body', { 'x-hub-signature-256': signature }, `${body}\n`],
    ['no header', {}, body],
    ['an empty header', { 'x-hub-signature-256': '' }, body],
    ['the SHA-1 header alone', { 'x-hub-signature': signature }, body],
    ['no prefix', { 'x-hub-signature-256': signature.slice(7) }, body],
    ['a part of it', { 'x-hub-signature-256': signature.slice(0, 40) }, body],
    ['another digit', { 'x-hub-signature-256': `${signature.slice(0, -1)}f` }, body],
    ['more of it', { 'x-hub-signature-256': `${signature}00` }, body],
  ])('%s: refused', (_, headers: IncomingHttpHeaders, text) => {
    expect(accepts(check, headers, { body: text })).toBe(false);
  });
});

describe('Standard Webhooks', () => {
  // The example of the specification's reference implementations.
  const style = { style: 'standard-webhooks', toleranceSeconds: 300 } as const;
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const body = '{"test": 2432232314}';
  const nowMs = 1_614_265_330_000;
  const right = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': right,
  };
  const check = checkFor(style, secret);

  test('the published example: is accepted, without its prefix and under the names of Svix too', () => {
    expect(accepts(check, headers, { body, nowMs })).toBe(true);
    expect(accepts(checkFor(style, secret.slice(6)), headers, { body, nowMs })).toBe(true);
    const svix = Object.entries(headers).map(([name, value]) => [
      name.replace('webhook', 'svix'),
      value,
    ]);
    expect(accepts(check, Object.fromEntries(svix), { body, nowMs })).toBe(true);
  });

  test('several signatures: one that is right is enough; another version is none', () => {
    const among = `v1,${'A'.repeat(43)}= v1a,xyz ${right}`;
    const signed = (signature: string) => ({ ...headers, 'webhook-signature': signature });
    expect(accepts(check, signed(among), { body, nowMs })).toBe(true);
    expect(accepts(check, signed(right.replace('v1', 'v2')), { body, nowMs })).toBe(false);
    expect(accepts(check, signed(''), { body, nowMs })).toBe(false);
  });

  test.each([
    ['id', { 'webhook-id': 'msg_other' }],
    ['time', { 'webhook-timestamp': '1614265331' }],
    ['no id', { 'webhook-id': undefined }],
    ['no time', { 'webhook-timestamp': undefined }],
  ])('another %s than was signed: refused', (_, other) => {
    expect(accepts(check, { ...headers, ...other }, { body, nowMs })).toBe(false);
  });

  test.each([-301, 301])('%i s away from its time: refused', (seconds) => {
    const at = (differs: number) => ({ body, nowMs: nowMs + differs * 1000 });
    expect(accepts(check, headers, at(seconds))).toBe(false);
    expect(accepts(check, headers, at(seconds - Math.sign(seconds)))).toBe(true);
  });
});

describe('Stripe', () => {
  const style = { style: 'stripe', toleranceSeconds: 300 } as const;
  const check = checkFor(style, SECRET);
  const nowMs = 1_772_582_400_000;
  const seconds = nowMs / 1000;
  const right = sign(`${seconds}.${BODY}`).toString('hex');

  test.each([
    ['as Stripe sends it', `t=${seconds},v1=${right}`],
    ['of test mode', `t=${seconds},v1=${right},v0=${'0'.repeat(64)}`],
    ['while the secret is replaced', `t=${seconds},v1=${'0'.repeat(64)},v1=${right}`],
    ['with spaces', `t=${seconds}, v1=${right}`],
  ])('signature %s: accepted', (_, signature) => {
    expect(accepts(check, { 'stripe-signature': signature }, { nowMs })).toBe(true);
  });

  test.each([
    ['of another time', `t=${seconds + 1},v1=${right}`],
    ['of an old version alone', `t=${seconds},v0=${right}`],
    ['without a time', `v1=${right}`],
    ['without a signature', `t=${seconds}`],
    ['of nothing', ''],
  ])('signature %s: refused', (_, signature) => {
    expect(accepts(check, { 'stripe-signature': signature }, { nowMs })).toBe(false);
  });

  test.each([-301, 301])('%i s away from its time: refused, and says so', (differs) => {
    const headers = { 'stripe-signature': `t=${seconds},v1=${right}` };
    const sent = { headers, body: Buffer.from(BODY), nowMs: nowMs + differs * 1000 };
    expect(() => check(sent)).toThrow('The time in stripe-signature differs from ours by more');
  });

  test('a time that is no number, signed: refused', () => {
    for (const time of ['', 'NaN', '1e9', '-1', 'Infinity']) {
      const v1 = sign(`${time}.${BODY}`).toString('hex');
      expect(accepts(check, { 'stripe-signature': `t=${time},v1=${v1}` }, { nowMs: 0 })).toBe(
        false,
      );
    }
  });
});

describe('HMAC in a header', () => {
  const hmac = { style: 'hmac', algorithm: 'sha256', prefix: '' } as const;

  test.each([
    ['Shopify', { ...hmac, header: 'x-shopify-hmac-sha256', encoding: 'base64' }],
    ['Intuit', { ...hmac, header: 'intuit-signature', encoding: 'base64' }],
    ['hex with a prefix', { ...hmac, header: 'x-sig', encoding: 'hex', prefix: 'v0=' }],
    ['SHA-512', { ...hmac, header: 'x-sig', encoding: 'hex', algorithm: 'sha512' }],
  ] as const)('%s: its signature is accepted, and that of another body is not', (_, style) => {
    const check = checkFor(style, SECRET);
    const signature = (text: string) => {
      return style.prefix + sign(text, SECRET, style.algorithm).toString(style.encoding);
    };
    expect(accepts(check, { [style.header]: signature(BODY) })).toBe(true);
    expect(accepts(check, { [style.header]: signature(`${BODY} `) })).toBe(false);
  });
});

describe('token in a header', () => {
  test('the secret itself: accepted; another, a part, none: refused', () => {
    const check = checkFor({ style: 'token', header: 'x-gitlab-token' }, SECRET);
    expect(accepts(check, { 'x-gitlab-token': SECRET })).toBe(true);
    for (const wrong of [`${SECRET}x`, SECRET.slice(1), '', undefined]) {
      expect(accepts(check, { 'x-gitlab-token': wrong })).toBe(false);
    }
  });
});

describe('secrets', () => {
  test('several: each is accepted, and no other', () => {
    const check = checkFor({ style: 'github' }, SECRET, `${SECRET} of last year`);
    const signed = (secret: string) => {
      return { 'x-hub-signature-256': `sha256=${sign(BODY, secret).toString('hex')}` };
    };
    expect(accepts(check, signed(SECRET))).toBe(true);
    expect(accepts(check, signed(`${SECRET} of last year`))).toBe(true);
    expect(accepts(check, signed(`${SECRET} of the year before`))).toBe(false);
  });

  test('one that could be guessed, or is not in its form: refused', () => {
    expect(() => readSecret('short', { style: 'github' })).toThrow('has 5 bytes; at least 16');
    expect(() => readSecret('whsec_!', { style: 'standard-webhooks' })).toThrow('is not whsec_');
    expect(() => readSecret('whsec_QUJD', { style: 'standard-webhooks' })).toThrow('has 3 bytes');
  });

  test('no signature is asked for: anything is accepted', () => {
    expect(accepts(createSignatureCheck({ style: 'none' }, []), {})).toBe(true);
  });
});
