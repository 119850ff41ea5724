import { findToken, type Principal, type TokenCarrier, type TokenVerifier } from '@tidemark/auth';
import { TidemarkError } from '@tidemark/protocol';

/** Tells who sends a request. @throws TidemarkError `unauthenticated` or `token_expired` */
export type Authenticate = (request: TokenCarrier) => Promise<Principal>;

export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
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
