import { requireAdmin } from '@tidemark/auth';
import type { Endpoint, Serve } from '@tidemark/http';
import type { Logger } from '@tidemark/telemetry';
import { beginDescription, cancelDescription, statusDescription } from './descriptions.ts';
import type { Rebuilder } from './rebuilder.ts';

/** The calls with which operators rebuild the archive (PROTOCOL.md section 13.4). */
export function rebuildEndpoints(rebuilder: Rebuilder, { audit }: { audit: Logger }): Endpoint[] {
  const post: Serve = (_request, response, principal) => {
    requireAdmin(principal);
    const status = rebuilder.begin();
    audit.warn({ by: principal.subject }, 'rebuilding the archive');
    response.status(202).json(status);
  };
  const get: Serve = (_request, response, principal) => {
    requireAdmin(principal);
    response.json(rebuilder.status);
  };
  const cancel: Serve = async (_request, response, principal) => {
    requireAdmin(principal);
    response.json(await rebuilder.cancel());
  };
  return [
    {
      path: '/v1/admin/rebuild',
      methods: {
        POST: { ...beginDescription, serve: post },
        GET: { ...statusDescription, serve: get },
        DELETE: { ...cancelDescription, serve: cancel },
      },
    },
  ];
}
