import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Revocation } from './admin.ts';

/** A revocation as services store it. */
export interface StoredRevocation {
  readonly revocation: Revocation;
  /** Whether it is lifted. It stays stored, so that every reader learns of that. */
  readonly lifted?: true;
}

const revocation = z.union([
  z.strictObject({ tokenId: z.string() }),
  z.strictObject({ subject: z.string() }),
  z.strictObject({ subject: z.string(), issuedBeforeMs: z.number() }),
]);

const record = z.strictObject({ revocation, lifted: z.literal(true).optional() });

/**
 * Reads a stored revocation.
 *
 * @param text JSON
 * @returns `undefined` where it is none
 */
export function parseStoredRevocation(text: string): StoredRevocation | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data } = record.safeParse(value);
  if (!data) return undefined;
  return data.lifted
    ? { revocation: data.revocation, lifted: true }
    : { revocation: data.revocation };
}

/**
 * The key that a revocation is stored under, such as `sub.<hash>`. It names the tokens even where the
 * record cannot be read. It holds a hash, because keys have a limited alphabet and the subjects of tokens
 * do not.
 */
export function revocationKey(one: Revocation): string {
  if ('tokenId' in one) return `jti.${hash(one.tokenId)}`;
  return `${'issuedBeforeMs' in one ? 'before' : 'sub'}.${hash(one.subject)}`;
}

/** The keys of all revocations that can cover a token. */
export function revocationKeysOf(token: {
  readonly subject: string;
  readonly tokenId?: string;
}): string[] {
  const { subject, tokenId } = token;
  const keys = [revocationKey({ subject }), revocationKey({ subject, issuedBeforeMs: 0 })];
  return tokenId === undefined ? keys : [...keys, revocationKey({ tokenId })];
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
