import { TidemarkError } from '@tidemark/protocol';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { type Principal, parseScope } from './permissions.ts';
import { ALGORITHM, importSecret } from './secret.ts';

/** Longest `sub`, in UTF-16 units; it is stored with every event that its bearer publishes. */
export const SUBJECT_LENGTH_MAX = 256;

/** The one place where a token becomes a principal; other ways to check tokens implement it too. */
export interface TokenVerifier {
  /** @throws TidemarkError `unauthenticated` or `token_expired`; the text never holds the token */
  verify(token: string): Promise<Principal>;
}

export interface VerifierOptions {
  readonly secret: string;
  /** Required `iss`; empty or absent accepts any. */
  readonly issuer?: string;
  /** Required `aud`; empty or absent accepts any. */
  readonly audience?: string;
  readonly now?: () => number;
}

/** Checks HS256 tokens of one secret. @throws ConfigurationError when the secret is too short */
export function createVerifier(options: VerifierOptions): TokenVerifier {
  const { issuer, audience, now = Date.now } = options;
  const key = importSecret(options.secret, 'verify');
  const claims = {
    // Pinned: a token must never choose how it is checked (RFC 8725 section 3.1).
    algorithms: [ALGORITHM],
    requiredClaims: ['exp', 'sub'],
    ...(issuer && { issuer }),
    ...(audience && { audience }),
  };
  return {
    async verify(token) {
      try {
        const currentDate = new Date(now());
        const { payload } = await jwtVerify(token, await key, { ...claims, currentDate });
        return toPrincipal(payload);
      } catch (error) {
        throw toTidemarkError(error);
      }
    },
  };
}

function toPrincipal(claims: JWTPayload): Principal {
  const { sub, exp, jti, scope } = claims;
  if (sub === undefined || exp === undefined || !isSubject(sub)) {
    throw new TidemarkError(
      'unauthenticated',
      `The token's "sub" must be 1 to ${SUBJECT_LENGTH_MAX} characters without control characters.`,
    );
  }
  return {
    subject: sub,
    ...parseScope(typeof scope === 'string' ? scope : ''),
    expiresAtMs: exp * 1000,
    ...(jti !== undefined && { tokenId: jti }),
  };
}

/** The subject becomes the event attribute `publisher`, so it keeps to what an attribute may hold. */
function isSubject(subject: string): boolean {
  if (subject.length === 0 || subject.length > SUBJECT_LENGTH_MAX) return false;
  return !/[\p{Cc}\p{Cs}]/u.test(subject);
}

/** Errors of `jose` hold claims, so none is kept as the cause. */
function toTidemarkError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) {
    return new TidemarkError('token_expired', 'The token has expired.');
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const fault = error.reason === 'missing' ? 'is missing' : 'is not accepted';
    return new TidemarkError('unauthenticated', `The token's "${error.claim}" ${fault}.`);
  }
  if (error instanceof errors.JOSEError) {
    return new TidemarkError('unauthenticated', 'The token is not valid.');
  }
  return error;
}
