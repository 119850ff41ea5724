import { type DisconnectTarget, parseDisconnectTarget, TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { isSentTo, type NatsLink } from './link.ts';

/** The subject of disconnects, which every gateway reads. It is not a subject of the events stream. */
export const DISCONNECT_SUBJECT = 'tidemark.control.disconnect';

const FLUSH_TIMEOUT_MS = 2000;

/**
 * Asks every gateway to close the connections of a target.
 *
 * @throws TidemarkError `unavailable` when NATS does not take the request within 2 s
 */
export async function requestDisconnect(
  { connection, connected }: NatsLink,
  target: DisconnectTarget,
): Promise<void> {
  try {
    if (!connected) throw new Error('NATS is away.');
    connection.publish(DISCONNECT_SUBJECT, JSON.stringify(toWire(target)));
    // The server has the request once it answers the ping after it.
    await Promise.race([connection.flush(), timeout()]);
  } catch (cause) {
    throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1, cause });
  }
}

/** Calls `disconnect` for each request until the link is closed. */
export function serveDisconnects(
  link: NatsLink,
  disconnect: (target: DisconnectTarget) => void,
  logger: Logger,
): void {
  link.subscribe(DISCONNECT_SUBJECT, {
    onMessage: (message) => {
      if (!isSentTo(message, DISCONNECT_SUBJECT)) return;
      disconnect(parseDisconnectTarget(message.json()));
    },
    onEnded: ({ message: reason }) => {
      logger.error({ reason }, 'requests to disconnect are no longer received');
    },
  });
}

function toWire(target: DisconnectTarget): object {
  return 'subject' in target ? { sub: target.subject } : target;
}

function timeout(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error('NATS does not answer.')), FLUSH_TIMEOUT_MS).unref();
  });
}
