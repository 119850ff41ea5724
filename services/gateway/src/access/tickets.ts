import assert from 'node:assert';
import { Socket } from 'node:net';
import { parsePrincipal } from '@tidemark/auth';
import type { Addressed, Endpoint, Rate, Redeem } from '@tidemark/http';
import type { TicketStore } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { AccessLookups } from './access-lookups.ts';
import { ticketDescription } from './descriptions.ts';

interface TicketParts {
  readonly tickets: TicketStore;
  readonly lookups: AccessLookups;
  readonly audit: Logger;
}

/** `POST /v1/tickets` (PROTOCOL.md section 8.3). A browser may put a ticket into a URL. */
export function ticketEndpoint(
  { tickets: store, lookups, audit }: TicketParts,
  tickets: Rate,
): Endpoint {
  return {
    path: '/v1/tickets',
    methods: {
      POST: {
        ...ticketDescription,
        async serve({ socket }, response, principal) {
          // All users share the bucket, so one user alone could fill it.
          tickets.consume(principal.subject);
          const { ticket, expiresAtMs } = await lookups.run(
            { name: `user ${principal.subject}`, socket },
            () => store.issue(principal),
          );
          // It gives somebody else the operator's rights, once.
          if (principal.admin)
            audit.info({ by: principal.subject }, 'ticket issued to an operator');
          response.status(201).json({ ticket, expiresAt: new Date(expiresAtMs).toISOString() });
        },
      },
    },
  };
}

/** Finds a ticket's holder, with the permissions and expiry of the token, which may have expired. */
export function redeemFrom(
  store: TicketStore,
  { lookups, addressOf }: Pick<TicketParts, 'lookups'> & { addressOf(caller: Addressed): string },
): Redeem {
  return async (ticket, caller) => {
    const { socket } = caller;
    assert(socket instanceof Socket, 'A ticket comes with a handshake.');
    const asker = { name: `address ${addressOf(caller)}`, socket };
    const principal = parsePrincipal(await lookups.run(asker, () => store.redeem(ticket)));
    if (!principal) throw new TidemarkError('unauthenticated', 'The ticket is no longer valid.');
    return principal;
  };
}
