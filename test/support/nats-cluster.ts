import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterConfiguration, NATS_NODES } from '../../infra/launcher/nats-cluster.mjs';
import { freePorts } from './free-ports.ts';
import { freeze } from './freeze.ts';
import { natsPasswords } from './nats-server.ts';
import { until } from './until.ts';

/** An election takes some seconds, longer where several servers share a busy machine. */
const HEALTHY_TIMEOUT_MS = 40_000;

/** Others are told an address where nobody listens, so that every route is one of the configuration. */
const UNTOLD = 'name: tidemark\n  no_advertise: true\n  advertise: "127.0.0.1:1"';

export interface ClusterServer {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly storeFolder: string;
  isHealthy(): Promise<boolean>;
  /** Waits until it has everything that the others have. */
  healthy(): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  /** Stops it as a hung server stands still. */
  freeze(): Promise<void>;
  thaw(): void;
}

/** The three servers of the cluster profile, each with the configuration that is shipped. */
export interface NatsCluster {
  /** Of all servers, for `NATS_URL`. */
  readonly url: string;
  readonly servers: readonly ClusterServer[];
  stop(): Promise<void>;
}

export interface NatsClusterOptions {
  /**
   * Gives the port at which one server reaches the routes of another. With it, servers tell nobody of
   * addresses that are not in their configuration.
   */
  routeLink?(from: string, to: string, port: number): Promise<number>;
  /** Of each server's store, by its name; without it temporary ones. */
  storeFolder?(name: string): string;
}

/** Only addresses and folders are others: here all three share one machine. */
export async function startNatsCluster(options: NatsClusterOptions = {}): Promise<NatsCluster> {
  const { routeLink, storeFolder } = options;
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-cluster-'));
  const ports = await freePorts(3 * NATS_NODES.length);
  const [clients, routes, monitors] = [ports.slice(0, 3), ports.slice(3, 6), ports.slice(6)];
  const reach = (from: string, index: number) => {
    const [to = '', port = 0] = [NATS_NODES[index], routes[index]];
    return from === to || !routeLink ? Promise.resolve(port) : routeLink(from, to, port);
  };
  const servers = await Promise.all(
    NATS_NODES.map(async (name, index) => {
      const [port = 0, listen = 0, monitor = 0] = [clients[index], routes[index], monitors[index]];
      const file = join(folder, `${name}.conf`);
      const store = storeFolder?.(name) ?? join(folder, name);
      const reached = await Promise.all(NATS_NODES.map((_, other) => reach(name, other)));
      const text = clusterConfiguration({ store, listen, monitor });
      const told = routeLink ? text.replace('name: tidemark', UNTOLD) : text;
      // As in the other tests, who connects without a user is an operator.
      await writeFile(file, `${told}\nno_auth_user: tidemark-operator\n`);
      return startServer({ name, file, port, monitor, storeFolder: store, routes: reached });
    }),
  );
  await Promise.all(servers.map((server) => server.healthy()));
  return {
    url: servers.map(({ url }) => url).join(','),
    servers,
    async stop() {
      await Promise.all(servers.map((server) => server.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface ServerOptions {
  readonly name: string;
  readonly file: string;
  readonly port: number;
  readonly monitor: number;
  readonly storeFolder: string;
  /** Ports at which it reaches each server of the cluster. */
  readonly routes: readonly number[];
}

const ROUTE_PASSWORD = 'routes';

function startServer(options: ServerOptions): ClusterServer {
  const { name, file, port, monitor, storeFolder, routes } = options;
  const binary = process.env.TIDEMARK_NATS_SERVER_BIN || 'nats-server';
  const start = () =>
    spawn(binary, ['-c', file, '-a', '127.0.0.1', '-p', String(port)], {
      stdio: 'ignore',
      env: {
        ...process.env,
        ...natsPasswords(),
        NATS_NAME: name,
        TIDEMARK_NATS_ROUTE_PASSWORD: ROUTE_PASSWORD,
        TIDEMARK_NATS_ROUTES: JSON.stringify(
          routes.map((route) => `nats://tidemark-route:${ROUTE_PASSWORD}@127.0.0.1:${route}`),
        ),
      },
    });
  let child = start();
  process.once('exit', () => child.kill('SIGKILL'));
  // What docker-compose.yml asks as well.
  const health = `http://127.0.0.1:${monitor}/healthz`;
  const isHealthy = async () => (await fetch(health).catch(() => undefined))?.ok ?? false;
  const kill = (signal: NodeJS.Signals = 'SIGKILL') => end(child, signal);
  return {
    name,
    url: `nats://127.0.0.1:${port}`,
    healthy: () => until(isHealthy, `${name} to be well`, HEALTHY_TIMEOUT_MS),
    isHealthy,
    storeFolder,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    async restart() {
      await kill();
      child = start();
    },
    freeze: () => freeze(child.pid ?? 0),
    thaw: () => child.kill('SIGCONT'),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
