import type { TokenConfiguration } from '@tidemark/config';
import type { RemoteKeysOptions } from './remote-keys.ts';
import type { VerifierOptions } from './verifier.ts';

/**
 * Turns a service's settings into options for `createVerifier`.
 *
 * @param observer is told when the JWK set cannot be fetched
 */
export function toVerifierOptions(
  settings: TokenConfiguration,
  observer: Pick<RemoteKeysOptions, 'onFailure' | 'onLate'>,
): VerifierOptions {
  return {
    secret: settings.tokenSecret,
    oldSecrets: split(settings.tokenOldSecrets, '\n'),
    publicKeyFiles: split(settings.tokenPublicKeys, ','),
    ...(settings.tokenJwksUrl !== '' && {
      remote: {
        url: settings.tokenJwksUrl,
        cacheSeconds: settings.tokenJwksCacheSeconds,
        cooldownSeconds: settings.tokenJwksCooldownSeconds,
        timeoutMs: settings.tokenJwksTimeoutMs,
        ...observer,
      },
    }),
    issuer: settings.tokenIssuer,
    audience: settings.tokenAudience,
    clockToleranceSeconds: settings.tokenClockToleranceSeconds,
    lifetimeSecondsMax: settings.tokenLifetimeSecondsMax,
    scopeClaim: settings.tokenScopeClaim,
    grants: settings.tokenGrants,
  };
}

function split(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
