import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import { describe, expect, test } from 'vitest';
import { type NatsCluster, startNatsCluster } from '../support/nats-cluster.ts';
import { NATS_PASSWORD } from '../support/nats-server.ts';
import { HAS_NGINX, startNginx } from '../support/nginx.ts';
import { type Service, startService } from '../support/services.ts';
import { startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';
import { CommandLine } from './command.ts';

/** An election, and the look of NATS at a server that is gone, take their time. */
const CLUSTER_MS = 60_000;

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly text: string;
}

async function findings(cli: CommandLine, env: Record<string, string> = {}): Promise<Finding[]> {
  const { rows } = await cli.run(['doctor', '--json'], { env });
  return rows as unknown as Finding[];
}

function faults(found: readonly Finding[]): string[] {
  return found.filter(({ level }) => level === 'fault').map(({ text }) => text);
}

describe('doctor', () => {
  test('a stream that somebody changed, and one that is missing: tells what is wrong with it', async () => {
    const system = await startSystem();
    const cli = await CommandLine.for(system);
    try {
      await withNats(system.nats.url, async (connection) => {
        const { streams } = await jetstreamManager(connection);
        const { config } = await streams.info(STREAM_NAME);
        await streams.update(STREAM_NAME, { ...config, allow_direct: false, max_age: 3_600e9 });
      });
      const found = await findings(cli);
      expect(faults(found)).toEqual([
        'Its configuration is wrong: allow_direct is false in place of true.',
      ]);
      const notes = found.filter(({ level }) => level === 'note').map(({ text }) => text);
      expect(notes).toEqual(
        expect.arrayContaining([expect.stringContaining('max_age is 3600000000000')]),
      );

      await system.replay.kill();
      await withNats(system.nats.url, async (connection) => {
        const { streams } = await jetstreamManager(connection);
        const { config } = await streams.info(STREAM_NAME);
        await streams.update(STREAM_NAME, { ...config, deny_purge: config.deny_purge });
        await streams.delete(STREAM_NAME);
      });
      const after = faults(await findings(cli));
      expect(after).toEqual(expect.arrayContaining([`There is no stream ${STREAM_NAME}.`]));
      expect(after).toEqual(expect.arrayContaining([expect.stringContaining('ECONNREFUSED')]));
    } finally {
      cli.remove();
      await system.stop();
    }
  });

  test('NATS that is away: tells it, and looks at what is there', async () => {
    const system = await startSystem();
    const cli = await CommandLine.for(system);
    try {
      await system.nats.kill();
      const found = await findings(cli);
      expect(faults(found)).toEqual(
        expect.arrayContaining([expect.stringContaining('NATS cannot be reached')]),
      );
      expect(found.filter(({ check }) => check === 'versions')).toMatchObject([{ level: 'ok' }]);
    } finally {
      cli.remove();
      await system.stop();
    }
  });

  test.skipIf(!HAS_NGINX)(
    'behind the nginx that is shipped (needs nginx): one URL is enough',
    async () => {
      const system = await startSystem();
      const nginx = await startNginx(system);
      const cli = await CommandLine.for(system);
      try {
        const args = ['doctor', '--json', '--gateway', nginx.url, '--admin', system.gateway.url];
        const { code, rows } = await cli.run(args);
        const levels = rows.map(({ check, level }) => `${check} ${level}`);
        expect(levels).toEqual(
          expect.arrayContaining([
            'gateway ok',
            'ingest ok',
            'replay ok',
            'instances ok',
            'sse ok',
            'websocket ok',
          ]),
        );
        expect(code).toBe(0);
        await system.ingest.kill();
        const without = await cli.run(args);
        const wrong = without.rows
          .filter(({ level }) => level === 'fault')
          .map(({ check }) => check);
        expect(wrong).toEqual(['ingest']);
      } finally {
        cli.remove();
        await nginx.stop();
        await system.stop();
      }
    },
  );

  test('a cluster that has lost a server: names the copy that is away', {
    timeout: 180_000,
  }, async () => {
    const cluster = await startNatsCluster();
    const natsUrl = cluster.servers.map(({ url }) => url).join(',');
    const env = { TIDEMARK_STREAM_REPLICAS: '3' };
    const services: Service[] = [];
    try {
      for (const name of ['replay', 'ingest', 'gateway'] as const) {
        services.push(await startService(name, { natsUrl, env }));
      }
      const [replay, ingest, gateway] = services as [Service, Service, Service];
      const cli = await CommandLine.for({ gateway, ingest, replay, nats: { url: natsUrl } });
      const operator = { ...env, ...operatorOf(cluster) };
      await until(
        async () => {
          const found = await findings(cli, operator);
          return found.some(({ text }) => text.startsWith('3 copies are current'));
        },
        'three copies',
        CLUSTER_MS,
      );
      const victim = cluster.servers[2];
      await victim?.kill('SIGKILL');
      let last: Finding[] = [];
      await until(
        async () => {
          last = await findings(cli, operator);
          return faults(last).some((text) => text.includes(victim?.name ?? '?'));
        },
        () => `the copy of ${victim?.name} in ${JSON.stringify(last)}`,
        CLUSTER_MS,
      );
      cli.remove();
    } finally {
      for (const service of services) await service.stop();
      await cluster.stop();
    }
  });
});

/** The user of an operator; the servers of a cluster let nobody in without one. */
function operatorOf(cluster: NatsCluster): Record<string, string> {
  return {
    NATS_URL: cluster.url,
    TIDEMARK_NATS_USER: 'tidemark-operator',
    TIDEMARK_NATS_PASSWORD: NATS_PASSWORD,
  };
}
