import type { Principal } from '@tidemark/auth';
import type { Endpoint, Redeem } from '@tidemark/http';
import type { TicketStore } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';

/** `POST /v1/tickets` (PROTOCOL.md section 8.3): what a browser may put into a URL. */
export function ticketEndpoint(store: () => TicketStore): Endpoint {
  return {
    path: '/v1/tickets',
    methods: {
      async POST(_request, response, principal) {
        const { ticket, expiresAtMs } = await store().issue(principal);
        response.status(201).json({ ticket, expiresAt: new Date(expiresAtMs).toISOString() });
      },
    },
  };
}

/** The holder of a ticket, with the permissions and the expiry of the token it was asked for with. */
export function redeemFrom(store: () => TicketStore): Redeem {
  return async (ticket) => {
    const principal = (await store().redeem(ticket)) as Principal | undefined;
    if (!principal) throw new TidemarkError('unauthenticated', 'The ticket is not valid any more.');
    if (principal.expiresAtMs <= Date.now()) {
      throw new TidemarkError('token_expired', 'The token of the ticket has expired.');
    }
    return principal;
  };
}
