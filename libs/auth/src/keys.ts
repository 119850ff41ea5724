import type { KeyObject, webcrypto } from 'node:crypto';
import { ConfigurationError } from '@tidemark/config';
import type { JWSHeaderParameters } from 'jose';
import {
  PUBLIC_KEY_ALGORITHMS,
  type PublicKey,
  RSA_BITS_MIN,
  readPublicKeys,
} from './public-keys.ts';
import { type RemoteKey, RemoteKeys, type RemoteKeysOptions } from './remote-keys.ts';
import { ALGORITHM, importSecret, isSignedWith, type SecretUse } from './secret.ts';

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
  /** Tells at once whether the key has signed a token; absent where only `jose` can tell. */
  readonly hasSigned?: (token: string) => boolean;
}

export interface TokenKeys {
  /** The keys that may have signed a token with this header, local ones first. */
  candidates(header: JWSHeaderParameters): AsyncIterable<KeyCandidate>;
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
    ...(secret === '' ? [] : [secretCandidate(secret, { use: 'verify' })]),
    ...oldSecrets.map((old) =>
      secretCandidate(old, { use: 'verify', variable: 'TIDEMARK_TOKEN_OLD_SECRETS' }),
    ),
  ];
  const publicKeys = publicKeyFiles.flatMap(readPublicKeys);
  const remoteKeys = remote && new RemoteKeys(remote);
  return {
    async *candidates(header) {
      const { alg } = header;
      if (alg === ALGORITHM) yield* secrets;
      if (!PUBLIC_KEY_ALGORITHMS.some((known) => known === alg)) return;
      for (const key of publicKeys) if (fits(key, header)) yield toCandidate(key);
      // Asked last: a PEM key has no id, so only a failed check shows that it is the wrong one.
      if (remoteKeys) yield* remoteCandidates(remoteKeys, header);
    },
  };
}

function secretCandidate(secret: string, use: SecretUse): KeyCandidate {
  return {
    key: importSecret(secret, use),
    algorithms: [ALGORITHM],
    hasSigned: (token) => isSignedWith(secret, token),
  };
}

function fits({ algorithms, id }: PublicKey, { alg = '', kid }: JWSHeaderParameters): boolean {
  return algorithms.includes(alg) && (id === undefined || kid === undefined || id === kid);
}

function toCandidate({ key, algorithms }: PublicKey): KeyCandidate {
  return { key, algorithms: [...algorithms] };
}

/** The keys of the JWK set that fit, and once more those of a newer set where none of them has signed the token. */
async function* remoteCandidates(
  remoteKeys: RemoteKeys,
  header: JWSHeaderParameters,
): AsyncIterable<KeyCandidate> {
  yield* toCandidates(await remoteKeys.find(header), header);
  if (await remoteKeys.renew()) yield* toCandidates(await remoteKeys.find(header), header);
}

function toCandidates(keys: readonly RemoteKey[], { alg }: JWSHeaderParameters): KeyCandidate[] {
  return keys.filter(isLongEnough).map((key) => ({ key, algorithms: [String(alg)] }));
}

function isLongEnough({ algorithm }: RemoteKey): boolean {
  const { modulusLength } = algorithm as Partial<webcrypto.RsaHashedKeyAlgorithm>;
  return modulusLength === undefined || modulusLength >= RSA_BITS_MIN;
}
