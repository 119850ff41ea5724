import { githubDeliveries, toCloudEvent } from '../feed/github-events.mjs';

export type GithubEvent = ReturnType<typeof toCloudEvent>;

/**
 * Real domain events, 10 KB on average: the example payloads in their order, from the first again
 * after the last. Their ids are `<prefix>-<number>`, counted from 0.
 */
export function githubEvents(count: number, prefix = 'github'): GithubEvent[] {
  const deliveries = githubDeliveries();
  return Array.from({ length: count }, (_, number) => {
    const delivery = deliveries[number % deliveries.length];
    if (!delivery) throw new Error('There are no example payloads.');
    const time = new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString();
    return toCloudEvent(delivery, { id: `${prefix}-${number}`, time });
  });
}
