import {
  createVerifier,
  findToken,
  type Principal,
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
}

/** As a service's settings say. @throws ConfigurationError when no token could be checked safely */
export function configureAuthentication(settings: TokenConfiguration, log: Logger): Authenticate {
  const onFailure = (reason: string) => log.error({ reason }, 'the JWK set cannot be fetched');
  return createAuthentication({
    verifier: createVerifier(toVerifierOptions(settings, onFailure)),
    cookieName: settings.tokenCookie,
  });
}

export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifier, cookieName } = options;
  return async (request) => {
    const token = findToken(request, { cookieName });
    if (token === undefined) {
      throw new TidemarkError('unauthenticated', 'Send a token as Authorization: Bearer <token>.');
    }
    return verifier.verify(token);
  };
}
