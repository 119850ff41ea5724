import type { GatewayConfiguration } from '@tidemark/config';
import {
  type Addressed,
  type Authenticate,
  acceptTickets,
  type Budget,
  type CheckHost,
  type Confirm,
  type Endpoint,
  type Limits,
  type Origins,
  parseProxies,
  type Rate,
  type Semaphore,
} from '@tidemark/http';
import { type BulletinBoard, TicketStore } from '@tidemark/nats';
import type { ServiceParts } from '@tidemark/service';
import type { Registry } from '../connections/registry.ts';
import { AccessLookups } from './access-lookups.ts';
import { adminEndpoints } from './admin/endpoints.ts';
import { Admission } from './admission.ts';
import { redeemFrom, ticketEndpoint } from './tickets.ts';

export interface AccessOptions extends ServiceParts {
  readonly registry: Registry;
  /** What the services say of themselves. */
  readonly board: BulletinBoard;
}

/** Authentication, limits and admin calls of the gateway. */
export interface Access {
  readonly authenticate: Authenticate;
  /** The address that limits count for. */
  readonly addressOf: (request: Addressed) => string;
  /** For new connections: it also accepts tickets, and limits handshakes. */
  readonly authenticateConnection: ReturnType<Admission['guard']>;
  readonly confirm: Confirm;
  readonly admission: Admission;
  readonly limits: Limits;
  /** Limits the events that a user publishes. */
  readonly publishes: Rate;
  /** Shares what may wait for the stream. */
  readonly appends: Budget;
  /** Limits the subscriptions of a user that catch up. */
  readonly catchUps: Semaphore;
  readonly origins: Origins;
  readonly checkHost: CheckHost;
  readonly ticketEndpoint: Endpoint;
  readonly adminEndpoints: readonly Endpoint[];
}

/** @throws ConfigurationError for keys or origins that are not safe */
export function openAccess(configuration: GatewayConfiguration, options: AccessOptions): Access {
  const { link, limits, origins, authenticate, confirm, registry, seal, checkHost } = options;
  const { refusedAddresses, audit } = options;
  const timeoutMs = configuration.appendTimeoutMs;
  const tickets = new TicketStore(link, { timeoutMs, seal });
  const proxies = parseProxies(configuration.trustedProxies);
  const admission = new Admission({ ...configuration, registry, limits, proxies });
  const lookups = new AccessLookups(limits);
  const addressOf = (request: Addressed) => refusedAddresses.addressOf(request) ?? '';
  return {
    authenticate,
    addressOf,
    authenticateConnection: admission.guard(
      acceptTickets(authenticate, {
        redeem: redeemFrom(tickets, { lookups, addressOf }),
        confirm,
        refusedAddresses,
      }),
    ),
    confirm,
    admission,
    limits,
    publishes: limits.rate('publishes_per_second', {
      max: configuration.publishesPerSecondMax,
      of: 'events of one user',
    }),
    appends: limits.budget('appends', {
      max: Math.ceil(configuration.connectionsMax / options.siblings.count),
      of: 'events that wait for the stream',
    }),
    catchUps: limits.semaphore('catch_ups_per_user', {
      max: configuration.catchUpsPerUserMax,
      of: 'catch-ups of this user',
    }),
    origins,
    checkHost,
    ticketEndpoint: {
      ...ticketEndpoint(
        { tickets, lookups, audit },
        limits.rate('tickets_per_second', {
          max: configuration.ticketsPerSecondMax,
          of: 'tickets of one user',
        }),
      ),
      authenticate: admission.guard(authenticate),
    },
    adminEndpoints: adminEndpoints({ ...options, jaeger: configuration, timeoutMs, lookups }),
  };
}
