import type { Table } from './table.ts';

/** The settings of the token check, which all services have. */
export const tokens = {
  tokenSecret: {
    variable: 'TIDEMARK_TOKEN_SECRET',
    type: 'secret',
    default: '',
    meaning: 'HS256 secret that tokens are signed with, at least 32 bytes.',
  },
  tokenOldSecrets: {
    variable: 'TIDEMARK_TOKEN_OLD_SECRETS',
    type: 'secret',
    default: '',
    meaning: 'Older HS256 secrets that are still accepted, for a rotation; one per line.',
  },
  tokenPublicKeys: {
    variable: 'TIDEMARK_TOKEN_PUBLIC_KEYS',
    type: 'text',
    default: '',
    meaning: 'Files with public keys (PEM, JWK or JWK set), separated by commas.',
  },
  tokenJwksUrl: {
    variable: 'TIDEMARK_TOKEN_JWKS_URL',
    type: 'text',
    default: '',
    meaning: 'JWK set of the token issuer; https, or http on a loopback address.',
  },
  tokenJwksCacheSeconds: {
    variable: 'TIDEMARK_TOKEN_JWKS_CACHE_SECONDS',
    type: 'integer',
    default: 600,
    min: 1,
    max: 86_400,
    unit: 's',
    meaning: 'Age at which the JWK set is fetched again; it stays valid while that fails.',
  },
  tokenJwksCooldownSeconds: {
    variable: 'TIDEMARK_TOKEN_JWKS_COOLDOWN_SECONDS',
    type: 'integer',
    default: 30,
    min: 1,
    max: 86_400,
    unit: 's',
    meaning: 'Shortest time between two fetches of the JWK set that unknown key ids cause.',
  },
  tokenJwksTimeoutMs: {
    variable: 'TIDEMARK_TOKEN_JWKS_TIMEOUT_MS',
    type: 'integer',
    default: 5000,
    min: 100,
    max: 60_000,
    unit: 'ms',
    meaning: 'How long a fetch of the JWK set may take.',
  },
  tokenIssuer: {
    variable: 'TIDEMARK_TOKEN_ISSUER',
    type: 'text',
    default: '',
    meaning: 'Required `iss` of tokens; empty accepts any.',
  },
  tokenAudience: {
    variable: 'TIDEMARK_TOKEN_AUDIENCE',
    type: 'text',
    default: '',
    meaning: 'Required `aud` of tokens; empty accepts any.',
  },
  tokenClockToleranceSeconds: {
    variable: 'TIDEMARK_TOKEN_CLOCK_TOLERANCE_SECONDS',
    type: 'integer',
    default: 5,
    min: 0,
    max: 300,
    unit: 's',
    meaning: "How far the issuer's clock may differ when `exp`, `nbf` and `iat` are checked.",
  },
  tokenLifetimeSecondsMax: {
    variable: 'TIDEMARK_TOKEN_LIFETIME_SECONDS_MAX',
    type: 'integer',
    default: 90 * 24 * 3600,
    min: 60,
    unit: 's',
    meaning:
      'Longest time from `iat` to `exp`; a longer token is refused. Revocations are kept for it.',
  },
  tokenScopeClaim: {
    variable: 'TIDEMARK_TOKEN_SCOPE_CLAIM',
    type: 'text',
    default: 'scope',
    meaning: 'Claim with the permissions: words separated by spaces, or an array of them.',
  },
  tokenGrants: {
    variable: 'TIDEMARK_TOKEN_GRANTS',
    type: 'text',
    default: '',
    meaning:
      'Permissions that every token gets, such as `subscribe:user.{sub}.>`; `{claim}` is filled in as one topic token.',
  },
  tokenCookie: {
    variable: 'TIDEMARK_TOKEN_COOKIE',
    type: 'text',
    default: '',
    meaning: 'Name of the cookie that may carry a token; empty reads none.',
  },
} as const satisfies Table;
