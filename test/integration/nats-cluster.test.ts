import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Listener, listen, TRANSPORTS } from '../support/clients.ts';
import { type NatsCluster, startNatsCluster } from '../support/nats-cluster.ts';
import { Publisher } from '../support/publisher.ts';
import { makeToken, type Service, type ServiceName, startService } from '../support/services.ts';
import { nameOf, namesOf, publishUntil, streamEvents, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The cluster profile: three servers, three replicas, and the loss of the one that leads. */

const TOPIC = 'replicated';

/** Three elections after each other, on a machine that is busy with something else. */
const TEST_TIMEOUT_MS = 120_000;
const WAIT_MS = 60_000;

const env = {
  TIDEMARK_STREAM_REPLICAS: '3',
  TIDEMARK_GATEWAY_SSE_RETRY_MS: '50',
  TIDEMARK_GATEWAY_DRAIN_MS: '200',
};

let cluster: NatsCluster;
let services: Service[] = [];
beforeAll(async () => {
  cluster = await startNatsCluster();
  const start = (name: ServiceName) => {
    return startService(name, { natsUrl: cluster.url, env, waitUntilReady: false });
  };
  services = await Promise.all((['ingest', 'replay', 'gateway'] as const).map(start));
  for (const service of services) await service.waitUntilReady();
}, TEST_TIMEOUT_MS);
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await cluster?.stop();
}, TEST_TIMEOUT_MS);

test(
  'the leader is killed under load: everything acknowledged is there, and clients receive exactly it',
  async () => {
    const [ingest, , gateway] = services;
    const token = await makeToken('subscribe:> publish:>');
    const publisher = new Publisher(ingest?.url ?? '', token);
    const urls = [gateway?.url ?? ''];
    const listeners = TRANSPORTS.map((transport) => {
      return listen(transport, { urls, token, topics: TOPIC, after: 'earliest' });
    });
    try {
      for (const listener of listeners) await until(() => listener.live);
      let done = false;
      const publishing = publishUntil(() => done, TOPIC, publisher);
      const received = (count: number) => untilReceived(listeners, count);
      await received(100);
      const before = await streamOf(cluster.servers[0]?.url ?? '');
      expect(before.replicas).toBe(3);
      const leader = cluster.servers.find(({ name }) => name === before.leader);
      await leader?.kill();
      const others = cluster.servers.filter((server) => server !== leader);
      await received((listeners[0]?.ids.length ?? 0) + 100);
      const after = await streamOf(others[0]?.url ?? '');
      expect(after.leader).not.toBe(before.leader);

      await leader?.restart();
      await leader?.healthy();
      await received((listeners[0]?.ids.length ?? 0) + 100);
      done = true;
      const stored = await publishing;
      await received(stored.length);
      const [url = ''] = cluster.servers.map((server) => server.url);
      await until(async () => (await streamOf(url)).current === 2, 'both replicas', WAIT_MS);
      expect((await streamEvents(url)).map(nameOf)).toEqual(stored);
      for (const listener of listeners) {
        expect(namesOf(listener)).toEqual(stored);
        expect(listener.gaps).toEqual([]);
        expect(listener.connections).toBe(1);
      }
    } finally {
      await Promise.all(listeners.map((listener) => listener.stop()));
    }
  },
  TEST_TIMEOUT_MS,
);

async function untilReceived(listeners: readonly Listener[], count: number): Promise<void> {
  for (const { ids, transport } of listeners) {
    await until(
      () => ids.length >= count,
      () => `${count} events over ${transport}; there are ${ids.length}`,
      WAIT_MS,
    );
  }
}

/** The stream's replicas, who leads them, and how many others have everything that the leader has. */
async function streamOf(url: string) {
  // While the servers elect a leader, none of them answers.
  return vi.waitFor(() => withNats(url, readStream), { timeout: WAIT_MS });
}

async function readStream(connection: NatsConnection) {
  const manager = await jetstreamManager(connection);
  const { config, cluster: group } = await manager.streams.info(STREAM_NAME);
  const current = group?.replicas?.filter((one) => one.current).length;
  return { replicas: config.num_replicas, leader: group?.leader, current };
}
