import {
  createVerifier,
  findToken,
  type Principal,
  type RevocationList,
  type TokenCarrier,
  type TokenVerifier,
  toVerifierOptions,
} from '@tidemark/auth';
import type { TokenConfiguration } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';

/** Tells who sends a request. @throws TidemarkError `unauthenticated` or `token_expired` */
export type Authenticate = (request: TokenCarrier) => Promise<Principal>;

export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
  /** Nobody is let in until it is complete; absent where nothing can be revoked. */
  readonly revocations?: RevocationList;
}

/** As a service's settings say. @throws ConfigurationError when no token could be checked safely */
export function configureAuthentication(
  settings: TokenConfiguration,
  { log, revocations }: { readonly log: Logger; readonly revocations: RevocationList },
): Authenticate {
  const onFailure = (reason: string) => log.error({ reason }, 'the JWK set cannot be fetched');
  return createAuthentication({
    verifier: createVerifier(toVerifierOptions(settings, onFailure)),
    cookieName: settings.tokenCookie,
    revocations,
  });
}

export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifier, cookieName, revocations } = options;
  return async (request) => {
    const token = findToken(request, { cookieName });
    if (token === undefined) {
      throw new TidemarkError('unauthenticated', 'Send a token as Authorization: Bearer <token>.');
    }
    const principal = await verifier.verify(token);
    if (revocations) refuseRevoked(principal, revocations);
    return principal;
  };
}

function refuseRevoked(principal: Principal, revocations: RevocationList): void {
  if (!revocations.isComplete) {
    throw new TidemarkError('unavailable', 'Which tokens are revoked is not known yet.', {
      retryAfterSeconds: 1,
    });
  }
  if (revocations.covers(principal)) {
    throw new TidemarkError('unauthenticated', 'The token is revoked.');
  }
}
