import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds } from './command.mjs';
import { consoleSettings } from './console.mjs';
import { clusterConfiguration, NATS_NODES } from './nats-cluster.mjs';
import { createNatsUsers, refuseStreams } from './nats-users.mjs';
import { writeNginxConfiguration } from './nginx.mjs';
import { clusterPort, SERVICES } from './settings.mjs';
import { guardedPlan, servicePlan } from './system.mjs';

const LOOPBACK = '127.0.0.1';
const INSTANCES = /** @type {const} */ ([1, 2]);

/** What each process of the cluster listens on, in the order of the ports. */
const PORT_NAMES = [
  'nginx',
  ...[...SERVICES].reverse().flatMap((name) => INSTANCES.map((number) => `${name}-${number}`)),
  ...NATS_NODES,
  ...NATS_NODES.map((name) => `${name} routes`),
  ...NATS_NODES.map((name) => `${name} monitor`),
  'operators',
];

/** A range of ports from `TIDEMARK_CLUSTER_PORT` on; with 0, free ones. @param {NodeJS.ProcessEnv} environment */
export function clusterPorts(environment) {
  const first = clusterPort(environment);
  return PORT_NAMES.map((name, index) => ({
    name,
    variable: 'TIDEMARK_CLUSTER_PORT',
    port: first === 0 ? 0 : first + index,
    host: LOOPBACK,
  }));
}

/** Whether an nginx is installed. */
export function hasNginx() {
  return succeeds('nginx', ['-v']);
}

/**
 * @typedef {object} ClusterOptions
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder for the data
 * @property {Record<string, number>} ports by name
 * @property {string} natsServer path
 * @property {boolean} nginx whether one is run
 */

/**
 * The processes of `npm run start:cluster`: three nats-servers with replicated streams, two of each
 * service, and nginx in front.
 *
 * @param {ClusterOptions} options
 */
export function planCluster(options) {
  const { environment, folder, ports, nginx } = options;
  const users = createNatsUsers(folder);
  const natsUrl = NATS_NODES.map((name) => `nats://${LOOPBACK}:${ports[name]}`).join(',');
  const forConsole = { ingest: {}, ...consoleSettings(environment, consolePorts(options)) };
  const services = SERVICES.flatMap((service) =>
    INSTANCES.map((number) => {
      const name = `${service}-${number}`;
      return servicePlan(service, {
        environment,
        folder,
        name,
        port: ports[name] ?? 0,
        defaults: {
          TIDEMARK_STREAM_REPLICAS: String(NATS_NODES.length),
          ...(nginx && { TIDEMARK_TRUSTED_PROXIES: LOOPBACK }),
        },
        fixed: {
          ...users.of(service),
          ...forConsole[service],
          NATS_URL: natsUrl,
          TIDEMARK_HOST: LOOPBACK,
          // Each keeps an archive of its own.
          TIDEMARK_REPLAY_DATABASE: join(folder, `archive-${number}.db`),
        },
      });
    }),
  );
  return [
    ...NATS_NODES.map((name) => planNode(name, options, users)),
    ...services,
    ...(nginx ? [planNginx(options)] : []),
  ];
}

/** Behind nginx all is one origin. @param {Pick<ClusterOptions, 'ports' | 'nginx'>} options */
function consolePorts({ ports, nginx }) {
  if (nginx) return { page: ports.operators ?? 0 };
  return { page: ports['gateway-1'] ?? 0, replay: ports['replay-1'] ?? 0 };
}

/**
 * @param {(typeof NATS_NODES)[number]} name
 * @param {ClusterOptions} options
 * @param {import('./nats-users.mjs').NatsUsers} users
 */
function planNode(name, { environment, folder, ports, natsServer }, users) {
  const store = join(folder, name);
  refuseStreams(store, folder);
  const file = join(folder, `${name}.conf`);
  const monitor = ports[`${name} monitor`] ?? 0;
  const configuration = clusterConfiguration({
    store,
    listen: ports[`${name} routes`] ?? 0,
    monitor,
  });
  const routes = users.routes(NATS_NODES.map((node) => ports[`${node} routes`] ?? 0));
  writeFileSync(file, configuration);
  return guardedPlan(
    {
      name,
      part: 'nats',
      env: { ...environment, ...users.server, ...routes, NATS_NAME: name },
      readyUrl: `http://${LOOPBACK}:${monitor}/healthz`,
    },
    [natsServer, '-c', file, '-a', LOOPBACK, '-p', String(ports[name])],
  );
}

/** @param {ClusterOptions} options */
function planNginx({ environment, folder, ports }) {
  const port = ports.nginx ?? 0;
  const own = join(folder, 'nginx');
  mkdirSync(own, { recursive: true });
  const [gateways, ingests, replays] = ['gateway', 'ingest', 'replay'].map((service) =>
    INSTANCES.map((number) => ports[`${service}-${number}`] ?? 0),
  );
  const file = writeNginxConfiguration(own, {
    port,
    operators: ports.operators ?? 0,
    gateways: gateways ?? [],
    ingests: ingests ?? [],
    replays: replays ?? [],
  });
  return guardedPlan(
    {
      name: 'nginx',
      part: 'nginx',
      env: environment,
      readyUrl: `http://${LOOPBACK}:${port}/healthz`,
    },
    ['nginx', '-c', file, '-g', 'daemon off;'],
  );
}
