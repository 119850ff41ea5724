import type { BlockList } from 'node:net';
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
import type { AddressConfiguration, TokenConfiguration } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type AddressCarrier, clientOf, parseProxies } from './addresses.ts';
import type { Failures, Limits } from './limits.ts';
import { mayUseCookie, type OriginCarrier, type Origins } from './origins.ts';

/** Tells who sends a request. @throws TidemarkError `unauthenticated` or `token_expired` */
export type Authenticate = (request: Caller) => Promise<Principal>;

/** A request, or what else may carry a token; its address is known where it has a socket. */
export type Caller = TokenCarrier & OriginCarrier & Partial<AddressCarrier>;

export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  /** The cookie that may carry a token; empty reads none. */
  readonly cookieName: string;
  /** Every token is refused with `unavailable` until the list is complete. */
  readonly revocations: RevocationList;
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
  readonly logger: Logger;
  readonly revocations: RevocationList;
  readonly origins: Origins;
  readonly limits: Limits;
}

/** As a service's settings say. @throws ConfigurationError when no token could be checked safely */
export function configureAuthentication(
  settings: TokenConfiguration & AddressConfiguration,
  { logger, limits, ...rest }: AuthenticationParts,
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
  const refusals = limits.failures('refusals_per_second', {
    max: settings.refusalsPerSecondMax,
    of: 'requests without a valid token from one address',
  });
  return boundRefusals(authenticate, { refusals, proxies: parseProxies(settings.trustedProxies) });
}

interface Bound {
  readonly refusals: Failures;
  readonly proxies: BlockList;
}

/** Looks at no token of an address that has just brought too many wrong ones: each costs a signature. */
function boundRefusals(authenticate: Authenticate, { refusals, proxies }: Bound): Authenticate {
  return async (request) => {
    const { headers, socket } = request;
    if (!socket) return authenticate(request);
    const address = clientOf({ headers, socket }, proxies);
    await refusals.check(address);
    try {
      return await authenticate(request);
    } catch (error) {
      if (error instanceof TidemarkError && error.status === 401) await refusals.note(address);
      throw error;
    }
  };
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
    refuseRevoked(principal, revocations);
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
