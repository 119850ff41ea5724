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
import type { Addressed, RefusedAddresses } from './refused-addresses.ts';

/**
 * Identifies the sender of a request.
 *
 * @throws TidemarkError `unauthenticated`, `token_expired`, or `unavailable` when that cannot be known now
 */
export type Authenticate = (request: Caller) => Promise<Principal>;

/** A request, or something else that carries a token. Its address is known where it has a socket. */
export type Caller = TokenCarrier & OriginCarrier & Addressed;

/** How requests are authenticated. */
export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
  /** Every token is refused with `unavailable` until the list is complete. */
  readonly revocations: RevocationList;
  /** The pages that may use the cookie; only those of the service's own origin if absent. */
  readonly origins?: Origins;
}

/** Exchanges a ticket for the principal that it was issued to. Each ticket works once. */
export type Redeem = (ticket: string, caller: Caller) => Promise<Principal>;

/**
 * Checks a principal again some time after its token was checked.
 *
 * @throws TidemarkError like `Authenticate`
 */
export type Confirm = (principal: Principal) => void;

/**
 * Creates the second check for requests that last: bodies that are sent slowly, and exports.
 *
 * @param now milliseconds since 1970
 */
export function confirmWith(revocations: RevocationList, now: () => number = Date.now): Confirm {
  return (principal) => {
    requireUnexpired(principal, now());
    refuseRevoked(principal, revocations);
  };
}

/** The parts of a service that authentication uses. */
export interface AuthenticationParts {
  readonly logger: Logger;
  readonly revocations: RevocationList;
  readonly origins: Origins;
  readonly limits: Limits;
  readonly refusedAddresses: RefusedAddresses;
}

/**
 * Creates authentication from a service's settings, with its limit on refused requests.
 *
 * @throws ConfigurationError when a key is missing, too short or cannot be used
 */
export function configureAuthentication(
  settings: TokenConfiguration,
  { logger, limits, refusedAddresses, ...rest }: AuthenticationParts,
): Authenticate {
  const observer = {
    onFailure: (reason: string) => logger.error({ reason }, 'the JWK set cannot be fetched'),
    onLate: () => limits.hit('jwks_time'),
  };
  const authenticate = createAuthentication({
    verifier: createVerifier(toVerifierOptions(settings, observer)),
    cookieName: settings.tokenCookie,
    ...rest,
  });
  return (request) => refusedAddresses.guard(request, () => authenticate(request));
}

/** How tickets are checked. */
export interface TicketOptions {
  readonly redeem: Redeem;
  readonly confirm: Confirm;
  /** A wrong ticket counts like a wrong token. */
  readonly refusedAddresses: RefusedAddresses;
}

/** Accepts tickets as well, for requests in which a browser can send only a URL. */
export function acceptTickets(
  authenticate: Authenticate,
  { redeem, confirm, refusedAddresses }: TicketOptions,
): Authenticate {
  return async (request) => {
    const ticket = findTicket(request);
    if (ticket === undefined) return authenticate(request);
    return refusedAddresses.guard(request, async () => {
      const principal = await redeem(ticket, request);
      confirm(principal);
      return principal;
    });
  };
}

/** Authenticates requests by the token that they carry. */
export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifier, revocations, origins = new Set() } = options;
  return async (request) => {
    const cookieName = mayUseCookie(request, origins) ? options.cookieName : '';
    const token = findToken(request, { cookieName });
    if (token === undefined) {
      throw new TidemarkError('unauthenticated', 'Send a token as Authorization: Bearer <token>.');
    }
    const principal = await verifier.verify(token);
    refuseRevoked(principal, revocations);
    return principal;
  };
}

function refuseRevoked(principal: Principal, revocations: RevocationList): void {
  if (!revocations.isComplete) {
    throw new TidemarkError('unavailable', 'The revoked tokens are not known yet.', {
      retryAfterSeconds: 1,
    });
  }
  if (revocations.covers(principal)) {
    throw new TidemarkError('unauthenticated', 'The token is revoked.');
  }
}
