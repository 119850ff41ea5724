import type { RevocationList } from '@tidemark/auth';
import type { GatewayConfiguration } from '@tidemark/config';
import {
  type Authenticate,
  acceptTickets,
  type Confirm,
  configureAuthentication,
  confirmWith,
  type Endpoint,
  type Limits,
  type Origins,
  parseOrigins,
  parseProxies,
  type Rate,
  type Semaphore,
} from '@tidemark/http';
import { type NatsLink, TicketStore } from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';
import type { Registry } from '../connections/registry.ts';
import { administrationEndpoints } from './admin/endpoints.ts';
import { Admission } from './admission.ts';
import { redeemFrom, ticketEndpoint } from './tickets.ts';

export interface AccessOptions {
  readonly log: Logger;
  readonly link: NatsLink;
  readonly revocations: RevocationList;
  readonly registry: Registry;
  readonly limits: Limits;
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
  readonly administrationEndpoints: readonly Endpoint[];
}

/** @throws ConfigurationError for keys or origins that are not safe */
export function openAccess(
  configuration: GatewayConfiguration,
  { log, link, revocations, registry, limits }: AccessOptions,
): Access {
  const timeoutMs = configuration.appendTimeoutMs;
  const origins = parseOrigins(configuration.allowedOrigins);
  const authenticate = configureAuthentication(configuration, {
    log,
    revocations,
    origins,
    limits,
  });
  const confirm = confirmWith(revocations);
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
    administrationEndpoints: administrationEndpoints({ log, link, timeoutMs, confirm }),
  };
}
