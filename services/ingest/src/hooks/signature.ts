import {
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { TidemarkError } from '@tidemark/protocol';

/** How a sender signs. `tolerance` is the most that a signed time may differ from ours, in seconds. */
export type SignatureStyle =
  | { readonly style: 'none' }
  /** No signature: the secret itself is in a header. */
  | { readonly style: 'token'; readonly header: string }
  | { readonly style: 'github' }
  | ({ readonly style: 'hmac' } & HmacHeader)
  | { readonly style: 'stripe'; readonly toleranceSeconds: number }
  | { readonly style: 'standard-webhooks'; readonly toleranceSeconds: number };

/** A header that holds the HMAC of the body. */
export interface HmacHeader {
  readonly header: string;
  readonly algorithm: 'sha256' | 'sha512';
  readonly encoding: 'hex' | 'base64';
  /** What comes before the HMAC. */
  readonly prefix: string;
}

/** A request with its body as it came, and our time in milliseconds since 1970. */
export interface SignedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
  readonly nowMs: number;
}

/**
 * Checks the signature of a request.
 *
 * @throws TidemarkError `unauthenticated`
 */
export type CheckSignature = (request: SignedRequest) => void;

/** Fewer bytes of a secret could be guessed. */
export const HOOK_SECRET_BYTES_MIN = 16;

const STANDARD_SECRET = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/;

/** Creates the check for a style. Each of the secrets is accepted. */
export function createSignatureCheck(
  style: SignatureStyle,
  secrets: readonly Uint8Array[],
): CheckSignature {
  const keys = secrets.map((secret) => createSecretKey(secret));
  switch (style.style) {
    case 'none':
      return () => {};
    case 'token':
      return (request) => checkToken(request, style.header, secrets);
    case 'github':
      return (request) => checkHmac(request, GITHUB, keys);
    case 'hmac':
      return (request) => checkHmac(request, style, keys);
    case 'stripe':
      return (request) => checkStripe(request, style.toleranceSeconds, keys);
    case 'standard-webhooks':
      return (request) => checkStandard(request, style.toleranceSeconds, keys);
  }
}

/**
 * The bytes of a secret as its sender shows it.
 *
 * @throws SyntaxError for one that is not in the form of its style, or too short
 */
export function readSecret(text: string, { style }: Pick<SignatureStyle, 'style'>): Uint8Array {
  const bytes = style === 'standard-webhooks' ? fromStandard(text) : Buffer.from(text);
  if (bytes.length >= HOOK_SECRET_BYTES_MIN) return bytes;
  throw new SyntaxError(`has ${bytes.length} bytes; at least ${HOOK_SECRET_BYTES_MIN} are needed`);
}

const GITHUB: HmacHeader = {
  header: 'x-hub-signature-256',
  algorithm: 'sha256',
  encoding: 'hex',
  prefix: 'sha256=',
};

function checkToken(
  { headers }: SignedRequest,
  header: string,
  secrets: readonly Uint8Array[],
): void {
  const found = hashOf(requireHeader(headers, header));
  if (!secrets.some((secret) => timingSafeEqual(hashOf(secret), found))) throw wrong(header);
}

function checkHmac(request: SignedRequest, style: HmacHeader, keys: readonly KeyObject[]): void {
  const { header, algorithm, encoding, prefix } = style;
  const found = requireHeader(request.headers, header);
  const isPrefixed = found.startsWith(prefix);
  const candidates = isPrefixed ? [Buffer.from(found.slice(prefix.length), encoding)] : [];
  requireMatch({ candidates, header, algorithm, signed: [request.body] }, keys);
}

/** `Stripe-Signature: t=<seconds>,v1=<hex>`, with a further `v1` while a secret is replaced. */
function checkStripe(
  { headers, body, nowMs }: SignedRequest,
  toleranceSeconds: number,
  keys: readonly KeyObject[],
): void {
  const header = 'stripe-signature';
  const pairs = requireHeader(headers, header)
    .split(',')
    .map((pair) => pair.trim().split(/=(.*)/s, 2) as [string, string?]);
  const valuesOf = (name: string) => pairs.flatMap(([key, value]) => (key === name ? [value] : []));
  const [time = ''] = valuesOf('t');
  const candidates = valuesOf('v1').map((value = '') => Buffer.from(value, 'hex'));
  requireMatch({ candidates, header, algorithm: 'sha256', signed: [`${time}.`, body] }, keys);
  requireTime(time, { header, nowMs, toleranceSeconds });
}

/** The headers of Standard Webhooks, or those of Svix, where the specification comes from. */
function checkStandard(
  { headers, body, nowMs }: SignedRequest,
  toleranceSeconds: number,
  keys: readonly KeyObject[],
): void {
  const prefix =
    headers['webhook-signature'] === undefined && headers['svix-id'] ? 'svix' : 'webhook';
  const header = `${prefix}-signature`;
  const [id, time] = ['id', 'timestamp'].map((name) => requireHeader(headers, `${prefix}-${name}`));
  const candidates = requireHeader(headers, header)
    .split(' ')
    .flatMap((one) => (one.startsWith('v1,') ? [Buffer.from(one.slice(3), 'base64')] : []));
  requireMatch({ candidates, header, algorithm: 'sha256', signed: [`${id}.${time}.`, body] }, keys);
  requireTime(time ?? '', { header: `${prefix}-timestamp`, nowMs, toleranceSeconds });
}

interface Claim {
  /** The signatures that the request has. */
  readonly candidates: readonly Uint8Array[];
  readonly header: string;
  readonly algorithm: string;
  /** What was signed, in its order. */
  readonly signed: readonly (string | Uint8Array)[];
}

function requireMatch(claim: Claim, keys: readonly KeyObject[]): void {
  const { candidates, header, algorithm, signed } = claim;
  const isRight = keys.some((key) => {
    const hmac = createHmac(algorithm, key);
    for (const part of signed) hmac.update(part);
    const right = hmac.digest();
    return candidates.some((one) => one.length === right.length && timingSafeEqual(one, right));
  });
  if (!isRight) throw wrong(header);
}

interface Clock {
  readonly header: string;
  readonly nowMs: number;
  readonly toleranceSeconds: number;
}

/** After the signature, so that only the sender is told about its clock. */
function requireTime(time: string, { header, nowMs, toleranceSeconds }: Clock): void {
  const differs = Math.abs(nowMs / 1000 - Number(time));
  if (/^\d{1,12}$/.test(time) && differs <= toleranceSeconds) return;
  throw new TidemarkError(
    'unauthenticated',
    `The time in ${header} differs from ours by more than ${toleranceSeconds} s.`,
  );
}

function requireHeader(headers: IncomingHttpHeaders, header: string): string {
  const value = headers[header];
  if (typeof value === 'string') return value;
  throw new TidemarkError('unauthenticated', `The header ${header} is missing.`);
}

function wrong(header: string): TidemarkError {
  return new TidemarkError('unauthenticated', `What is in ${header} is not right for this body.`);
}

function fromStandard(text: string): Buffer {
  const [, base64] = STANDARD_SECRET.exec(text) ?? [];
  if (base64 === undefined) throw new SyntaxError('is not whsec_ and Base64');
  return Buffer.from(base64, 'base64');
}

function hashOf(value: string | Uint8Array): Buffer {
  return createHash('sha256').update(value).digest();
}
