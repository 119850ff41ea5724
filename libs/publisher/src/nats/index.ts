import { QueuedPublisher } from '../queued-publisher.ts';
import type { EventMap, EventPublisher, Stored } from '../types.ts';
import { type NatsPublisherOptions, StreamTransport } from './stream-transport.ts';

export { TidemarkPublisherError } from '../errors.ts';
export type { NatsPublisherOptions } from './stream-transport.ts';

/** A publisher past ingest. It is told no cursors, so it has no conditional appends either. */
export type NatsPublisher<Events extends EventMap = Record<string, unknown>> = EventPublisher<
  Events,
  Stored
>;

/**
 * Creates a publisher that sends events straight to NATS (PROTOCOL.md section 12), as a user of
 * `infra/nats/publishers.conf`. Each event is checked before it is sent, because nobody answers what is wrong with it
 * and no reader would get it. Events have no `publisher`, and a repeat with other content is not noticed.
 *
 * @throws RangeError for a deadline that is out of range
 * @example
 * const connection = await connect({ servers, user: 'shop', pass, inboxPrefix: '_INBOX.shop', maxReconnectAttempts: -1 });
 * const publisher = createNatsPublisher({ connection, source: '/orders' });
 */
export function createNatsPublisher<Events extends EventMap = Record<string, unknown>>(
  options: NatsPublisherOptions,
): NatsPublisher<Events> {
  const queued = new QueuedPublisher(new StreamTransport(options), options);
  const publisher: NatsPublisher = {
    publish: (topic, event, publishOptions) => queued.publish(topic, event, publishOptions),
    publishBatch: (events, batchOptions) => queued.publishBatch(events, batchOptions),
    close: (closeOptions) => queued.close(closeOptions),
    [Symbol.asyncDispose]: () => queued.close(),
  };
  return publisher as unknown as NatsPublisher<Events>;
}
