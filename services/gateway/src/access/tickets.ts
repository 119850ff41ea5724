import { parsePrincipal } from '@tidemark/auth';
import type { Endpoint, Rate, Redeem } from '@tidemark/http';
import type { TicketStore } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';

/** `POST /v1/tickets` (PROTOCOL.md section 8.3): what a browser may put into a URL. */
export function ticketEndpoint(store: TicketStore, tickets: Rate): Endpoint {
  return {
    path: '/v1/tickets',
    methods: {
      async POST(_request, response, principal) {
        // They share a bucket that one user could fill for all.
        await tickets.consume(principal.subject);
        const { ticket, expiresAtMs } = await store.issue(principal);
        response.status(201).json({ ticket, expiresAt: new Date(expiresAtMs).toISOString() });
      },
    },
  };
}

/** Who got a ticket, with the permissions and the expiry of the token, which may be over by now. */
export function redeemFrom(store: TicketStore): Redeem {
  return async (ticket) => {
    const principal = parsePrincipal(await store.redeem(ticket));
    if (!principal) throw new TidemarkError('unauthenticated', 'The ticket is not valid any more.');
    return principal;
  };
}
