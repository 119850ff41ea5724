import { parsePrincipal } from '@tidemark/auth';
import type { Endpoint, Rate, Redeem } from '@tidemark/http';
import type { TicketStore } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';

/** `POST /v1/tickets` (PROTOCOL.md section 8.3). A browser may put a ticket into a URL. */
export function ticketEndpoint(store: TicketStore, tickets: Rate): Endpoint {
  return {
    path: '/v1/tickets',
    methods: {
      async POST(_request, response, principal) {
        // All users share the bucket, so one user alone could fill it.
        await tickets.consume(principal.subject);
        const { ticket, expiresAtMs } = await store.issue(principal);
        response.status(201).json({ ticket, expiresAt: new Date(expiresAtMs).toISOString() });
      },
    },
  };
}

/** Finds a ticket's holder, with the permissions and expiry of the token, which may have expired. */
export function redeemFrom(store: TicketStore): Redeem {
  return async (ticket) => {
    const principal = parsePrincipal(await store.redeem(ticket));
    if (!principal) throw new TidemarkError('unauthenticated', 'The ticket is no longer valid.');
    return principal;
  };
}
