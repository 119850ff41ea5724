import { type RevocationList, revokes } from '@tidemark/auth';
import {
  followRevocations,
  type NatsLink,
  type RevocationSink,
  serveDisconnects,
} from '@tidemark/nats';
import type { Logger } from '@tidemark/telemetry';
import type { Member, Registry } from '../../connections/registry.ts';

export interface Enforcement {
  readonly link: NatsLink;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly revocations: RevocationList;
}

/** Closes the connections that operators end at any gateway. @returns a function that stops this */
export function enforce({ link, logger, registry, revocations }: Enforcement): { stop(): void } {
  serveDisconnects(
    link,
    (target) => {
      const count = registry.closeWhere(
        ({ id, principal }) =>
          'subject' in target ? principal.subject === target.subject : id === target.connection,
        'disconnected',
        'Disconnected by an operator; come back.',
      );
      logger.info({ target, connections: count }, 'disconnected');
    },
    logger,
  );
  const sink: RevocationSink = {
    add(revocation, storedMs) {
      if (!revocations.add(revocation, storedMs)) return;
      const concerns = ({ principal }: Member) => revokes(revocation, principal);
      const count = registry.closeWhere(concerns, 'revoked', 'The token is revoked.');
      if (count > 0) logger.info({ connections: count }, 'connections closed by a revocation');
    },
    remove: (revocation) => revocations.remove(revocation),
    complete: () => revocations.complete(),
  };
  return followRevocations(link, sink, logger);
}
