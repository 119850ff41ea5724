import { requireAdmin } from '@tidemark/auth';
import { type Endpoint, readJson, type Serve } from '@tidemark/http';
import { type NatsLink, RevocationStore, requestDisconnect } from '@tidemark/nats';
import { parseDisconnectTarget, parseRevocation } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';

/** Such bodies name one token, user or connection. */
const BODY_BYTES_MAX = 4096;

export interface AdministrationOptions {
  readonly log: Logger;
  /** @throws TidemarkError `unavailable` while NATS has not been reached */
  readonly nats: () => NatsLink;
  readonly timeoutMs: number;
}

/** What operators may do to tokens and connections (PROTOCOL.md section 13). */
export function administrationEndpoints(options: AdministrationOptions): Endpoint[] {
  const { log, nats, timeoutMs } = options;
  const store = () => new RevocationStore(nats(), { timeoutMs });

  const revoke: Serve = async (request, response, principal) => {
    requireAdmin(principal);
    const revocation = parseRevocation(await readJson(request, BODY_BYTES_MAX));
    await store().add(revocation);
    log.warn({ revocation, by: principal.subject }, 'revoked');
    response.status(204).end();
  };
  const lift: Serve = async (request, response, principal) => {
    requireAdmin(principal);
    const revocation = parseRevocation(await readJson(request, BODY_BYTES_MAX));
    await store().remove(revocation);
    log.warn({ revocation, by: principal.subject }, 'revocation lifted');
    response.status(204).end();
  };
  const disconnect: Serve = async (request, response, principal) => {
    requireAdmin(principal);
    const target = parseDisconnectTarget(await readJson(request, BODY_BYTES_MAX));
    await requestDisconnect(nats(), target);
    log.warn({ target, by: principal.subject }, 'disconnecting');
    response.status(202).end();
  };
  return [
    { path: '/v1/admin/revocations', methods: { POST: revoke, DELETE: lift } },
    { path: '/v1/admin/disconnect', methods: { POST: disconnect } },
  ];
}
