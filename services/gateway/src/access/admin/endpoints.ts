import { type Principal, requireAdmin } from '@tidemark/auth';
import { type Endpoint, type Request, readJson, type Serve } from '@tidemark/http';
import { type NatsLink, type RecordSeal, RevocationStore, requestDisconnect } from '@tidemark/nats';
import { parseDisconnectTarget, parseRevocation } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { AccessLookups, Asker } from '../access-lookups.ts';
import { disconnectDescription, liftDescription, revokeDescription } from '../descriptions.ts';
import { connectionsEndpoint } from './connections-endpoint.ts';
import { type StatsOptions, statsEndpoint } from './stats-endpoint.ts';
import { streamsEndpoint } from './streams-endpoint.ts';
import { type TracesOptions, tracesEndpoint } from './traces-endpoint.ts';

/** Most bytes of a body, which names one token, user or connection. */
const BODY_BYTES_MAX = 4096;

export interface AdminOptions extends StatsOptions, TracesOptions {
  readonly audit: Logger;
  readonly link: NatsLink;
  readonly seal: RecordSeal;
  readonly timeoutMs: number;
  readonly lookups: AccessLookups;
}

/** The calls with which operators look at the services, revoke tokens and close connections (PROTOCOL.md section 13). */
export function adminEndpoints(options: AdminOptions): Endpoint[] {
  const { audit, link, confirm, lookups } = options;
  const store = new RevocationStore(link, options);

  /** Checks the token again after the body, which may come long after the first check. */
  const read = async (request: Request, principal: Principal): Promise<unknown> => {
    requireAdmin(principal);
    const body = await readJson(request, BODY_BYTES_MAX);
    confirm(principal);
    return body;
  };

  const revoke: Serve = async (request, response, principal) => {
    const revocation = parseRevocation(await read(request, principal));
    await lookups.run(asker(request, principal), () => store.add(revocation));
    audit.warn({ revocation, by: principal.subject }, 'revoked');
    response.status(204).end();
  };
  const lift: Serve = async (request, response, principal) => {
    const revocation = parseRevocation(await read(request, principal));
    await lookups.run(asker(request, principal), () => store.remove(revocation));
    audit.warn({ revocation, by: principal.subject }, 'revocation lifted');
    response.status(204).end();
  };
  const disconnect: Serve = async (request, response, principal) => {
    const target = parseDisconnectTarget(await read(request, principal));
    await requestDisconnect(link, target);
    audit.warn({ target, by: principal.subject }, 'disconnecting');
    response.status(202).end();
  };
  return [
    {
      path: '/v1/admin/revocations',
      methods: {
        POST: { ...revokeDescription, serve: revoke },
        DELETE: { ...liftDescription, serve: lift },
      },
    },
    {
      path: '/v1/admin/disconnect',
      methods: { POST: { ...disconnectDescription, serve: disconnect } },
    },
    statsEndpoint(options),
    connectionsEndpoint(options),
    streamsEndpoint(options),
    tracesEndpoint(options),
  ];
}

function asker({ socket }: Request, { subject }: Principal): Asker {
  return { name: `user ${subject}`, socket };
}
