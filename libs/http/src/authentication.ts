import {
  createVerifier,
  findTicket,
  findToken,
  type Principal,
  type RevocationList,
  requireUnexpired,
  type TokenCarrier,
  type TokenVerifier,
  toVerifierOptions,
} from '@tidemark/auth';
import type { TokenConfiguration } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Limits } from './limits.ts';
import { mayUseCookie, type OriginCarrier, type Origins } from './origins.ts';

/** Tells who sends a request. @throws TidemarkError `unauthenticated` or `token_expired` */
export type Authenticate = (request: TokenCarrier & OriginCarrier) => Promise<Principal>;

export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
  /** Nobody is let in until it is complete; absent where nothing can be revoked. */
  readonly revocations?: RevocationList;
  /** The pages that may use the cookie; none but the service's own, where absent. */
  readonly origins?: Origins;
}

/** Turns a ticket into who got it, once. */
export type Redeem = (ticket: string) => Promise<Principal>;

/** Looks again at who was let in a moment ago. @throws TidemarkError like `Authenticate` */
export type Confirm = (principal: Principal) => void;

/** For what goes on for a while after its token was checked: bodies that are sent slowly, exports. */
export function confirmWith(revocations: RevocationList, now: () => number = Date.now): Confirm {
  return (principal) => {
    requireUnexpired(principal, now());
    refuseRevoked(principal, revocations);
  };
}

export interface AuthenticationParts {
  readonly log: Logger;
  readonly revocations: RevocationList;
  readonly origins: Origins;
  /** Told when the JWK set takes too long. */
  readonly limits: Pick<Limits, 'hit'>;
}

/** As a service's settings say. @throws ConfigurationError when no token could be checked safely */
export function configureAuthentication(
  settings: TokenConfiguration,
  { log, limits, ...rest }: AuthenticationParts,
): Authenticate {
  const observer = {
    onFailure: (reason: string) => log.error({ reason }, 'the JWK set cannot be fetched'),
    onLate: () => limits.hit('jwks_time'),
  };
  return createAuthentication({
    verifier: createVerifier(toVerifierOptions(settings, observer)),
    cookieName: settings.tokenCookie,
    ...rest,
  });
}

/** Takes tickets too: for the requests in which a browser can send nothing but a URL. */
export function acceptTickets(
  authenticate: Authenticate,
  { redeem, confirm }: { readonly redeem: Redeem; readonly confirm: Confirm },
): Authenticate {
  return async (request) => {
    const ticket = findTicket(request);
    if (ticket === undefined) return authenticate(request);
    const principal = await redeem(ticket);
    confirm(principal);
    return principal;
  };
}

export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifier, revocations, origins = new Set() } = options;
  return async (request) => {
    const cookieName = mayUseCookie(request, origins) ? options.cookieName : '';
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
