import { IngestTransport } from './ingest-transport.ts';
import { QueuedPublisher } from './queued-publisher.ts';
import { retryOnConflict } from './retry-on-conflict.ts';
import type { EventMap, HttpPublisherOptions, Publisher } from './types.ts';

/**
 * Creates a publisher that posts to ingest. Nothing is sent before the first event.
 *
 * @throws TypeError for a URL that is none, RangeError for a deadline that is out of range
 * @example
 * const publisher = createPublisher({ url: 'http://ingest', token: () => fetchToken(), source: '/orders' });
 * const { cursor } = await publisher.publish('orders.42', { type: 'order.paid', data: { total: 7 } });
 */
export function createPublisher<Events extends EventMap = Record<string, unknown>>(
  options: HttpPublisherOptions,
): Publisher<Events> {
  const queued = new QueuedPublisher(new IngestTransport(options), options);
  const publisher: Publisher = {
    publish: (topic, event, publishOptions) => queued.publish(topic, event, publishOptions),
    publishBatch: (events, batchOptions) => queued.publishBatch(events, batchOptions),
    append: (topic, event, appendOptions) => queued.append(topic, event, appendOptions),
    retryOnConflict: (topic, read, decide, retryOptions) => {
      return retryOnConflict(queued.append.bind(queued, topic), read, decide, retryOptions);
    },
    close: (closeOptions) => queued.close(closeOptions),
    [Symbol.asyncDispose]: () => queued.close(),
  };
  return publisher as unknown as Publisher<Events>;
}
