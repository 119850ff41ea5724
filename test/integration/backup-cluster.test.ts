import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { expect, test } from 'vitest';
import { listen } from '../support/clients.ts';
import { startNatsCluster } from '../support/nats-cluster.ts';
import { runOperator } from '../support/operator.ts';
import { Publisher } from '../support/publisher.ts';
import { makeToken, type ServiceName, startService } from '../support/services.ts';
import { ids, metric, series, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';

/** Takes several elections, so a plain `npm test` leaves it out. */
test.runIf(process.env.ALL_TESTS === 'yes')(
  'backup and restore in a cluster: the stream is deleted: clients go on with their old cursors',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-backup-'));
    const cluster = await startNatsCluster();
    const database = join(folder, 'archive.db');
    const start = (name: ServiceName) =>
      startService(name, {
        natsUrl: cluster.url,
        env: { TIDEMARK_STREAM_REPLICAS: '3', TIDEMARK_REPLAY_DATABASE: database },
        waitUntilReady: false,
      });
    const services = await Promise.all((['ingest', 'gateway', 'replay'] as const).map(start));
    try {
      for (const service of services) await service.waitUntilReady();
      const [ingest, gateway, replay] = services;
      const token = await makeToken('subscribe:> publish:>');
      const publisher = new Publisher(ingest?.url ?? '', token);
      const kept = await publisher.storeAll(series('kept', 1, 1000));
      if (replay) await until(async () => (await metric(replay, 'projection_position')) === 1000);
      const env = { NATS_URL: cluster.url };
      const args = [join(folder, 'backup'), '--archive', database];
      const made = await runOperator('backup', ['--to', ...args], env);
      expect(made.output).toContain('The backup is in');
      await publisher.storeAll(series('kept', 1001, 1010));

      await replay?.kill();
      const restored = await runOperator('restore', ['--from', ...args, '--overwrite'], env);
      expect(restored.output).toContain('The log goes on in the epoch');
      await replay?.restart();
      await publisher.storeInOrder(series('kept', 1011, 1025));
      // Until the gateway has heard of the new log, it answers from the old one, and a gap comes later.
      const head = () => (gateway ? metric(gateway, 'gateway_head_sequence') : undefined);
      await until(async () => (await head()) === 1015);
      expect(await replicasOf(cluster.url)).toBe(3);
      const listener = listen('websocket', {
        urls: [gateway?.url ?? ''],
        token,
        topics: 'kept',
        after: kept[899]?.cursor ?? '',
      });
      await until(() => listener.live && listener.ids.length === 115);
      expect(listener.ids).toEqual([...ids(901, 1000), ...ids(1011, 1025)]);
      expect(listener.gaps).toEqual([]);
      await listener.stop();
    } finally {
      await Promise.all(services.map((service) => service.stop()));
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);

function replicasOf(url: string): Promise<number> {
  return withNats(url.split(',')[0] ?? '', async (connection) => {
    return (await (await jetstreamManager(connection)).streams.info(STREAM_NAME)).config
      .num_replicas;
  });
}
