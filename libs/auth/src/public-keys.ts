import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigurationError } from '@tidemark/config';

/** Shortest RSA modulus (NIST SP 800-131A). */
export const RSA_BITS_MIN = 2048;

/** The algorithms of asymmetric keys. HMAC is never among them. */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

/** A key with the algorithms that its type allows. A token cannot choose another (RFC 8725, 3.1). */
export interface PublicKey {
  readonly key: KeyObject;
  readonly algorithms: readonly string[];
  /** The JWK's `kid`; PEM has none. */
  readonly id?: string;
}

/**
 * Reads the public keys of a file.
 *
 * @throws ConfigurationError that names the fault
 */
export function readPublicKeys(file: string): PublicKey[] {
  const refuse = (fault: string): never => {
    throw new ConfigurationError([`TIDEMARK_TOKEN_PUBLIC_KEYS: ${file} ${fault}`]);
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    return refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    const keys = text.startsWith('{') ? fromJson(text) : fromPem(text);
    return keys.length > 0 ? keys : refuse('holds no key');
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    if (error instanceof KeyFault) return refuse(error.message);
    // A parser's error may quote the file.
    return refuse('holds something that is not a public key');
  }
}

class KeyFault extends Error {}

function fromPem(text: string): PublicKey[] {
  // Node would derive the public key silently. A service that checks tokens must not hold a private one.
  if (text.includes('PRIVATE KEY')) throw new KeyFault('holds a private key');
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  return blocks.map((block) => toPublicKey(createPublicKey(block)));
}

function fromJson(text: string): PublicKey[] {
  const parsed = JSON.parse(text) as { keys?: unknown };
  const jwks = Array.isArray(parsed.keys) ? parsed.keys : [parsed];
  return jwks.map((jwk) => {
    if (jwk?.kty === 'oct') throw new KeyFault('holds a secret; give it as TIDEMARK_TOKEN_SECRET');
    if (jwk?.d !== undefined) throw new KeyFault('holds a private key');
    return toPublicKey(createPublicKey({ key: jwk, format: 'jwk' }), jwk);
  });
}

function toPublicKey(key: KeyObject, jwk: { kid?: unknown; alg?: unknown } = {}): PublicKey {
  const possible = algorithmsOf(key);
  const algorithms = typeof jwk.alg === 'string' ? possible.filter((a) => a === jwk.alg) : possible;
  if (algorithms.length === 0)
    throw new KeyFault(`holds a key for ${jwk.alg}, which is not accepted`);
  return { key, algorithms, ...(typeof jwk.kid === 'string' && { id: jwk.kid }) };
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'rsa') {
    if (modulusLength >= RSA_BITS_MIN) return ['RS256', 'PS256'];
    throw new KeyFault(`holds an RSA key of ${modulusLength} bits; ${RSA_BITS_MIN} are needed`);
  }
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return ['ES256'];
  if (asymmetricKeyType === 'ed25519') return ['EdDSA'];
  throw new KeyFault('holds a key that is neither RSA nor P-256 nor Ed25519');
}
