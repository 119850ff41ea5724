import type { Principal } from '@tidemark/auth';
import type { Authenticate, Confirm, Limits, Origins, Places, Rate } from '@tidemark/http';
import type { Appender } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Admission, Knock } from '../access/admission.ts';
import type { Registry } from '../connections/registry.ts';
import type { Log } from '../log/event-log.ts';
import type { Reports } from '../observability/reports/reports.ts';

/** What both transports are given. */
export interface Gateway {
  readonly log: Log;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly reports: Reports;
  readonly authenticate: Authenticate;
  /** The same for new connections, which may bring a ticket instead of a token, and too many. */
  readonly authenticateConnection: (request: Knock) => Promise<Principal>;
  readonly confirm: Confirm;
  readonly admission: Admission;
  readonly limits: Limits;
  /** Events that a user publishes. */
  readonly publishes: Rate;
  /** Subscriptions of a user that catch up. */
  readonly catchUps: Places;
  /** The web pages that may connect; all of them, with a token, where none is configured. */
  readonly origins: Origins;
  /** `undefined` until NATS has been reached for the first time. */
  readonly appender: () => Appender | undefined;
}

/**
 * In the same turn the connection has to be registered: a revocation that comes later closes those
 * that are, and one that came since the token was looked at is asked for here.
 *
 * @throws TidemarkError when no further connection can be served now
 */
export function admit(gateway: Gateway, request: Knock, principal: Principal): void {
  const { log, admission, confirm } = gateway;
  confirm(principal);
  if (!log.begun) throw new TidemarkError('unavailable', 'The gateway has not reached NATS yet.');
  admission.admit(request, principal);
}
