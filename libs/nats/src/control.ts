import { type DisconnectTarget, parseDisconnectTarget, TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { NatsLink } from './link.ts';

/** What concerns every gateway at once; outside the subjects of the events stream. */
export const DISCONNECT_SUBJECT = 'tidemark.control.disconnect';

const FLUSH_TIMEOUT_MS = 2000;

/** Tells every gateway to close connections. @throws TidemarkError `unavailable` */
export async function requestDisconnect(
  { connection, connected }: NatsLink,
  target: DisconnectTarget,
): Promise<void> {
  try {
    if (!connected) throw new Error('NATS is away.');
    connection.publish(DISCONNECT_SUBJECT, JSON.stringify(toWire(target)));
    // The server has taken it once it answers the ping that follows it.
    await Promise.race([connection.flush(), timeout()]);
  } catch (cause) {
    throw new TidemarkError('unavailable', 'NATS is away.', { retryAfterSeconds: 1, cause });
  }
}

/** Calls back for each request, until the link is closed. */
export function serveDisconnects(
  { connection }: NatsLink,
  disconnect: (target: DisconnectTarget) => void,
  logger: Logger,
): void {
  connection.subscribe(DISCONNECT_SUBJECT, {
    callback: (error, message) => {
      try {
        if (error) throw error;
        disconnect(parseDisconnectTarget(message.json()));
      } catch (reason) {
        logger.error({ err: reason }, 'a request to disconnect cannot be read');
      }
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
