import { type RevocationList, revokes } from '@tidemark/auth';
import {
  followRevocations,
  type NatsLink,
  type RecordSeal,
  type RevocationSink,
  serveDisconnects,
} from '@tidemark/nats';
import { revocationKeysOf } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Member, Registry } from '../../connections/registry.ts';

export interface Enforcement {
  readonly link: NatsLink;
  readonly logger: Logger;
  readonly audit: Logger;
  readonly registry: Registry;
  readonly revocations: RevocationList;
  readonly seal: RecordSeal;
}

/** Closes the connections that operators end at any gateway. @returns a function that stops this */
export function enforce(options: Enforcement): { stop(): void } {
  const { link, logger, audit, registry, revocations } = options;
  const close = (concerns: (member: Member) => boolean): void => {
    const count = registry.closeWhere(concerns, 'revoked', 'The token is revoked.');
    if (count > 0) audit.info({ connections: count }, 'connections closed by a revocation');
  };
  serveDisconnects(
    link,
    (target) => {
      const count = registry.closeWhere(
        ({ id, principal }) =>
          'subject' in target ? principal.subject === target.subject : id === target.connection,
        'disconnected',
        'Disconnected by an operator; come back.',
      );
      audit.info({ target, connections: count }, 'disconnected');
    },
    logger,
  );
  const sink: RevocationSink = {
    add(revocation, storedMs) {
      if (!revocations.add(revocation, storedMs)) return;
      close(({ principal }) => revokes(revocation, principal));
    },
    addUnreadable(key, storedMs) {
      revocations.addUnreadable(key, storedMs);
      close(({ principal }) => revocationKeysOf(principal).includes(key));
    },
    remove: (revocation) => revocations.remove(revocation),
    complete: () => revocations.complete(),
  };
  return followRevocations(link, sink, options);
}
