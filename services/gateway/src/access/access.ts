import type { GatewayConfiguration } from '@tidemark/config';
import {
  type Authenticate,
  acceptTickets,
  type Confirm,
  type Endpoint,
  type Limits,
  type Origins,
  parseProxies,
  type Rate,
  type Semaphore,
} from '@tidemark/http';
import { TicketStore } from '@tidemark/nats';
import type { ServiceParts } from '@tidemark/service';
import type { Registry } from '../connections/registry.ts';
import { adminEndpoints } from './admin/endpoints.ts';
import { Admission } from './admission.ts';
import { redeemFrom, ticketEndpoint } from './tickets.ts';

export interface AccessOptions extends ServiceParts {
  readonly registry: Registry;
}

/** Who gets in, with what, how much of it, and who decides on it. */
export interface Access {
  readonly authenticate: Authenticate;
  /** For new connections, which may bring a ticket instead of a token, and may be too many. */
  readonly authenticateConnection: ReturnType<Admission['guard']>;
  readonly confirm: Confirm;
  readonly admission: Admission;
  readonly limits: Limits;
  /** Events that a user publishes. */
  readonly publishes: Rate;
  /** Subscriptions of a user that catch up. */
  readonly catchUps: Semaphore;
  readonly origins: Origins;
  readonly ticketEndpoint: Endpoint;
  readonly adminEndpoints: readonly Endpoint[];
}

/** @throws ConfigurationError for keys or origins that are not safe */
export function openAccess(
  configuration: GatewayConfiguration,
  { logger, link, limits, origins, authenticate, confirm, registry }: AccessOptions,
): Access {
  const timeoutMs = configuration.appendTimeoutMs;
  const tickets = new TicketStore(link, { timeoutMs });
  const proxies = parseProxies(configuration.trustedProxies);
  const admission = new Admission({ ...configuration, registry, limits, proxies });
  return {
    authenticate,
    authenticateConnection: admission.guard(
      acceptTickets(authenticate, { redeem: redeemFrom(tickets), confirm }),
    ),
    confirm,
    admission,
    limits,
    publishes: limits.rate('publishes_per_second', {
      max: configuration.publishesPerSecondMax,
      of: 'events of one user',
    }),
    catchUps: limits.semaphore('catch_ups_per_user', {
      max: configuration.catchUpsPerUserMax,
      of: 'catch-ups of this user',
    }),
    origins,
    ticketEndpoint: {
      ...ticketEndpoint(
        tickets,
        limits.rate('tickets_per_second', {
          max: configuration.ticketsPerSecondMax,
          of: 'tickets of one user',
        }),
      ),
      authenticate: admission.guard(authenticate),
    },
    adminEndpoints: adminEndpoints({ logger, link, timeoutMs, confirm }),
  };
}
