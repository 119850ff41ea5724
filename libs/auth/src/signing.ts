import { SignJWT } from 'jose';
import { ALGORITHM, importSecret } from './secret.ts';

/** What a token says, and the secret that signs it. */
export interface TokenOptions {
  /** HS256 secret of at least 32 bytes. */
  readonly secret: string;
  /** The user: the claim `sub`. */
  readonly subject: string;
  /** Permissions separated by spaces, such as `subscribe:orders.> publish:orders.>`. */
  readonly scope: string;
  readonly ttlSeconds: number;
  readonly issuer?: string;
  readonly audience?: string;
  /** The time of issue, in milliseconds since 1970; now if absent. */
  readonly nowMs?: number;
}

/**
 * Signs a token with HS256. It gets a random `jti`, so that it can be revoked alone.
 *
 * @example await signToken({ secret, subject: 'alice', scope: 'subscribe:>', ttlSeconds: 3600 })
 * @throws ConfigurationError when the secret has fewer than 32 bytes
 */
export async function signToken(options: TokenOptions): Promise<string> {
  const { secret, subject, scope, ttlSeconds, issuer, audience, nowMs = Date.now() } = options;
  const issuedAt = Math.floor(nowMs / 1000);
  const token = new SignJWT({ scope })
    .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
    .setSubject(subject)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + ttlSeconds)
    .setJti(crypto.randomUUID());
  if (issuer) token.setIssuer(issuer);
  if (audience) token.setAudience(audience);
  return token.sign(await importSecret(secret, { use: 'sign' }));
}
