import type { KeyObject, webcrypto } from 'node:crypto';
import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import {
  errors,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
  type JWTVerifyGetKey,
} from 'jose';
import {
  PUBLIC_KEY_ALGORITHMS,
  type PublicKey,
  RSA_BITS_MIN,
  readPublicKeys,
} from './public-keys.ts';
import { createRemoteKeys, type RemoteKeysOptions } from './remote-keys.ts';
import { ALGORITHM, importSecret } from './secret.ts';

/** Most keys of one JWK set that are tried for a token without a key id. */
const REMOTE_CANDIDATES_MAX = 8;

/** The sources of the keys that check tokens. At least one is needed. */
export interface KeySources {
  /** The HS256 secret. */
  readonly secret?: string;
  /** Older HS256 secrets, which are accepted too. */
  readonly oldSecrets?: readonly string[];
  /** Files with public keys: PEM, JWK or JWK set. */
  readonly publicKeyFiles?: readonly string[];
  readonly remote?: RemoteKeysOptions;
}

/** A key to try, and the only algorithms that it may be used with. */
export interface KeyCandidate {
  readonly key: webcrypto.CryptoKey | KeyObject | Promise<webcrypto.CryptoKey>;
  readonly algorithms: string[];
}

export interface TokenKeys {
  /** The keys that may have signed a token with this header, local ones first. */
  candidates(header: JWSHeaderParameters, token: string): AsyncIterable<KeyCandidate>;
}

/**
 * Reads the keys of all sources.
 *
 * @throws ConfigurationError when a key is too short, cannot be used, or when there is none
 */
export function openKeys(sources: KeySources): TokenKeys {
  const { secret = '', oldSecrets = [], publicKeyFiles = [], remote } = sources;
  const onlySource = oldSecrets.length === 0 && publicKeyFiles.length === 0 && !remote;
  if (secret === '' && onlySource) {
    throw new ConfigurationError([
      'TIDEMARK_TOKEN_SECRET is not set, and neither is TIDEMARK_TOKEN_JWKS_URL or TIDEMARK_TOKEN_PUBLIC_KEYS',
    ]);
  }
  const secrets = [
    ...(secret === '' ? [] : [importSecret(secret, { use: 'verify' })]),
    ...oldSecrets.map((old) =>
      importSecret(old, { use: 'verify', variable: 'TIDEMARK_TOKEN_OLD_SECRETS' }),
    ),
  ].map((key) => ({ key, algorithms: [ALGORITHM] }));
  const publicKeys = publicKeyFiles.flatMap(readPublicKeys);
  const remoteKeys = remote && createRemoteKeys(remote);
  return {
    async *candidates(header, token) {
      const { alg } = header;
      if (alg === ALGORITHM) yield* secrets;
      if (!PUBLIC_KEY_ALGORITHMS.some((known) => known === alg)) return;
      for (const key of publicKeys) if (fits(key, header)) yield toCandidate(key);
      // Asked last: a PEM key has no id, so only a failed check shows that it is the wrong one.
      if (remoteKeys) yield* await ask(remoteKeys, header, token);
    },
  };
}

function fits({ algorithms, id }: PublicKey, { alg = '', kid }: JWSHeaderParameters): boolean {
  return algorithms.includes(alg) && (id === undefined || kid === undefined || id === kid);
}

function toCandidate({ key, algorithms }: PublicKey): KeyCandidate {
  return { key, algorithms: [...algorithms] };
}

/** The matching keys of the JWK set: several where the token names none. */
async function ask(
  remoteKeys: JWTVerifyGetKey,
  header: JWSHeaderParameters,
  token: string,
): Promise<KeyCandidate[]> {
  const jws = { payload: '', signature: '', protected: token } satisfies FlattenedJWSInput;
  const keys: webcrypto.CryptoKey[] = [];
  try {
    keys.push((await remoteKeys(header as never, jws)) as webcrypto.CryptoKey);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw asRefusal(error);
    for await (const key of error) {
      keys.push(key as webcrypto.CryptoKey);
      if (keys.length === REMOTE_CANDIDATES_MAX) break;
    }
  }
  return keys.filter(isLongEnough).map((key) => ({ key, algorithms: [String(header.alg)] }));
}

/** A key of the set that cannot be used makes the token invalid. It is not a fault of the server. */
function asRefusal(error: unknown): unknown {
  if (error instanceof errors.JOSEError || error instanceof TidemarkError) return error;
  return new errors.JWKInvalid('the JWK set holds a key that cannot be used', { cause: error });
}

function isLongEnough({ algorithm }: webcrypto.CryptoKey): boolean {
  const { modulusLength } = algorithm as Partial<webcrypto.RsaHashedKeyAlgorithm>;
  return modulusLength === undefined || modulusLength >= RSA_BITS_MIN;
}
