import { TidemarkError } from '@tidemark/protocol';
import {
  base64url,
  decodeProtectedHeader,
  errors,
  type JWSHeaderParameters,
  type JWTClaimVerificationOptions,
  type JWTPayload,
  jwtVerify,
  UnsecuredJWT,
} from 'jose';
import { type GrantTemplates, parseGrantTemplates } from './grant-templates.ts';
import { type KeySources, openKeys, type TokenKeys } from './keys.ts';
import { type Principal, parseScope, withInbox } from './permissions.ts';
import { PrincipalCache } from './principal-cache.ts';

/** Longest token, in characters. One in a header is no longer either; one in a message could be. */
export const TOKEN_LENGTH_MAX = 16 * 1024;

/** Longest `sub`, in UTF-16 units; it is stored with every event that its bearer publishes. */
export const SUBJECT_LENGTH_MAX = 256;

/**
 * How the publisher of raw webhooks begins: `hook:<name>`. No token may have such a `sub`, because its bearer
 * would publish as that sender.
 */
export const HOOK_SUBJECT_PREFIX = 'hook:';

/** Longest `jti`, in UTF-16 units. */
export const TOKEN_ID_LENGTH_MAX = 256;

/** Turns tokens into principals. Another way to check tokens is another implementation of it. */
export interface TokenVerifier {
  /**
   * Checks a token's signature and claims. The text of an error never holds the token.
   *
   * @throws TidemarkError `unauthenticated`, `token_expired`, or `unavailable` when its key cannot be
   *   fetched now
   */
  verify(token: string): Promise<Principal>;
}

/** How tokens are checked, and with which keys. */
export interface VerifierOptions extends KeySources {
  /** Required `iss`; empty or absent accepts any. */
  readonly issuer?: string;
  /** Required `aud`; empty or absent accepts any. */
  readonly audience?: string;
  /** How far the issuer's clock may differ; 0 if absent. */
  readonly clockToleranceSeconds?: number;
  /** Longest time from `iat` to `exp`, or from now where `iat` is absent. No limit if absent. */
  readonly lifetimeSecondsMax?: number;
  /** The claim that holds the permissions; `scope` if absent. */
  readonly scopeClaim?: string;
  /** Grants of every token, such as `subscribe:user.{sub}.>`. */
  readonly grants?: string;
  /** Milliseconds since 1970; the system's clock if absent. */
  readonly now?: () => number;
}

/**
 * Creates a verifier for signed JWTs, which caches the principals of recent tokens.
 *
 * @throws ConfigurationError when a key is too short, cannot be used, or when there is none
 */
export function createVerifier(options: VerifierOptions): TokenVerifier {
  const { now = Date.now } = options;
  const keys = openKeys(options);
  const rules = { ...options, templates: parseGrantTemplates(options.grants ?? '') };
  const cache = new PrincipalCache();
  return {
    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) {
        throw refused(`The token has more than ${TOKEN_LENGTH_MAX} characters.`);
      }
      const nowMs = now();
      const known = cache.get(token, nowMs);
      if (known) return known;
      try {
        const principal = toPrincipal(await check(token, { keys, rules, nowMs }), rules, nowMs);
        cache.add(token, principal, nowMs);
        return principal;
      } catch (error) {
        throw toTidemarkError(error);
      }
    },
  };
}

interface Rules extends VerifierOptions {
  readonly templates: GrantTemplates;
}

interface Check {
  readonly keys: TokenKeys;
  readonly rules: Rules;
  readonly nowMs: number;
}

/**
 * Checks the signature with the keys that the token's header allows.
 *
 * @returns the claims
 */
async function check(token: string, { keys, rules, nowMs }: Check): Promise<JWTPayload> {
  const { issuer, audience, clockToleranceSeconds = 0 } = rules;
  const claims = {
    requiredClaims: ['exp', 'sub'],
    currentDate: new Date(nowMs),
    // A second more than is right, because `jose` takes no fractions; `requireTimes` is exact.
    clockTolerance: clockToleranceSeconds + 1,
    ...(issuer && { issuer }),
    ...(audience && { audience }),
  };
  const header = readHeader(token);
  let failure: unknown;
  for await (const { key, algorithms, hasSigned } of keys.candidates(header)) {
    if (isPlain(header) && hasSigned?.(token)) return readClaims(token, claims);
    try {
      const { payload } = await jwtVerify(token, await key, { ...claims, algorithms });
      return payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      failure = error;
    }
  }
  throw failure ?? new errors.JWSSignatureVerificationFailed();
}

/** Whether the header changes nothing about how a signature is checked (RFC 7515 section 4.1.11, RFC 7797). */
function isPlain({ crit, b64 }: JWSHeaderParameters): boolean {
  return crit === undefined && b64 === undefined;
}

const UNSECURED = base64url.encode('{"alg":"none"}');

/** The checked claims of a token whose signature has been checked. */
function readClaims(token: string, claims: JWTClaimVerificationOptions): JWTPayload {
  const [, payload, , ...more] = token.split('.');
  if (more.length > 0) throw new errors.JWTInvalid('more than three parts');
  return UnsecuredJWT.decode(`${UNSECURED}.${payload}.`, claims).payload;
}

function readHeader(token: string) {
  try {
    return decodeProtectedHeader(token);
  } catch (cause) {
    throw new errors.JWTInvalid('no header', { cause });
  }
}

function toPrincipal(claims: JWTPayload, rules: Rules, nowMs: number): Principal {
  const { sub, exp, jti, iat } = claims;
  if (sub === undefined || exp === undefined || !isName(sub, SUBJECT_LENGTH_MAX)) {
    throw refused(
      `The token's "sub" must be 1 to ${SUBJECT_LENGTH_MAX} characters without control characters.`,
    );
  }
  if (sub.startsWith(HOOK_SUBJECT_PREFIX)) {
    throw refused(`The token's "sub" begins with "${HOOK_SUBJECT_PREFIX}", which is for webhooks.`);
  }
  if (jti !== undefined && !isName(jti, TOKEN_ID_LENGTH_MAX)) {
    throw refused(`The token's "jti" must be a text of 1 to ${TOKEN_ID_LENGTH_MAX} characters.`);
  }
  requireTimes(claims, rules, nowMs);
  const { clockToleranceSeconds = 0, lifetimeSecondsMax = Number.POSITIVE_INFINITY } = rules;
  const nowSeconds = Math.floor(nowMs / 1000);
  // A revocation is kept for this long, so no token may outlive it.
  if (exp - (iat ?? nowSeconds) > lifetimeSecondsMax) {
    throw refused(`The token is valid for more than the ${lifetimeSecondsMax} s allowed.`);
  }
  const { grants, admin } = parseScope(readScope(claims[rules.scopeClaim || 'scope']));
  return {
    subject: sub,
    grants: withInbox(sub, [...grants, ...rules.templates(claims)]),
    admin,
    expiresAtMs: (exp + clockToleranceSeconds) * 1000,
    ...(iat !== undefined && { issuedAtMs: iat * 1000 }),
    ...(jti !== undefined && { tokenId: jti }),
  };
}

/** The claims may have fractions of a second. A token is valid in the whole second in which it begins. */
function requireTimes({ exp = 0, nbf, iat }: JWTPayload, rules: Rules, nowMs: number): void {
  const toleranceMs = (rules.clockToleranceSeconds ?? 0) * 1000;
  if (exp * 1000 + toleranceMs <= nowMs) throw expired();
  // A revocation may name a time of issue, so a token must not claim a future one.
  for (const [name, seconds = 0] of Object.entries({ nbf, iat })) {
    if (Math.floor(seconds) * 1000 > nowMs + toleranceMs) throw notYetValid(name);
  }
}

/** Words separated by spaces (RFC 8693 section 4.2), or the array that some issuers send. */
function readScope(claim: unknown): string {
  if (typeof claim === 'string') return claim;
  if (!Array.isArray(claim)) return '';
  return claim.filter((word) => typeof word === 'string' && !word.includes(' ')).join(' ');
}

/** The subject becomes the event attribute `publisher`, so it may hold only what attributes may hold. */
function isName(text: unknown, lengthMax: number): boolean {
  if (typeof text !== 'string' || text.length === 0 || text.length > lengthMax) return false;
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}

function refused(message: string): TidemarkError {
  return new TidemarkError('unauthenticated', message);
}

function expired(): TidemarkError {
  return new TidemarkError('token_expired', 'The token has expired.');
}

function notYetValid(claim: string): TidemarkError {
  return new TidemarkError(
    'unauthenticated',
    `The token is not yet valid: its "${claim}" is in the future.`,
    { retryable: true },
  );
}

/** Errors of `jose` hold claims, so none is kept as the cause. */
function toTidemarkError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return expired();
  if (error instanceof errors.JWTClaimValidationFailed) {
    // A claim of a wrong type has another reason.
    const isEarly = error.claim === 'nbf' && error.reason === 'check_failed';
    if (isEarly) return notYetValid(error.claim);
    const fault = error.reason === 'missing' ? 'is missing' : 'is not accepted';
    return refused(`The token's "${error.claim}" ${fault}.`);
  }
  if (error instanceof errors.JOSEError) return refused('The token is not valid.');
  return error;
}
