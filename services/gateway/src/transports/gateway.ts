import type { Principal } from '@tidemark/auth';
import type {
  Addressed,
  Authenticate,
  Budget,
  CheckHost,
  Confirm,
  Limits,
  Origins,
  Rate,
  Semaphore,
} from '@tidemark/http';
import type { EventAppender } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Admission, ConnectRequest } from '../access/admission.ts';
import type { ConnectionContext } from '../connections/context.ts';
import type { Registry } from '../connections/registry.ts';
import type { Reports } from '../observability/reports/reports.ts';
import type { MessageBytes } from './message-bytes.ts';

/** The parts of the gateway that both transports need. */
export interface Gateway {
  readonly core: ConnectionContext;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly reports: Reports;
  readonly authenticate: Authenticate;
  /** The address that limits count for. */
  readonly addressOf: (request: Addressed) => string;
  /** For new connections: it also accepts tickets, and limits handshakes. */
  readonly authenticateConnection: (request: ConnectRequest) => Promise<Principal>;
  readonly confirm: Confirm;
  readonly admission: Admission;
  readonly limits: Limits;
  /** The rate of bytes of each user, on all connections. */
  readonly messageBytes: MessageBytes;
  /** Limits the events that a user publishes. */
  readonly publishes: Rate;
  /** Shares what may wait for the stream. */
  readonly appends: Budget;
  /** Limits the subscriptions of a user that catch up. */
  readonly catchUps: Semaphore;
  /** The origins of the pages that may connect; if empty, any page with a token may. */
  readonly origins: Origins;
  readonly checkHost: CheckHost;
  readonly appender: EventAppender;
}

/**
 * Admits a connection. The caller must register it in the same turn of the loop. A later revocation
 * closes registered connections; this call finds one that came since the token was checked.
 *
 * @returns the address that it counts for, until `Admission.release` is told
 * @throws TidemarkError when no further connection can be served now
 */
export function admit(gateway: Gateway, request: ConnectRequest, principal: Principal): string {
  const { core, admission, confirm } = gateway;
  confirm(principal);
  if (!core.log.begun)
    throw new TidemarkError('unavailable', 'The gateway has not reached NATS yet.');
  return admission.admit(request, principal);
}
