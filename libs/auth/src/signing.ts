import { SignJWT } from 'jose';
import { ALGORITHM, importSecret } from './secret.ts';

export interface TokenOptions {
  readonly secret: string;
  /** The user: the claim `sub`. */
  readonly subject: string;
  /** Permissions separated by spaces, such as `subscribe:orders.> publish:orders.>`. */
  readonly scope: string;
  readonly ttlSeconds: number;
  readonly issuer?: string;
  readonly audience?: string;
  readonly nowMs?: number;
}

/** Signs a token. @throws ConfigurationError when the secret is too short */
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
