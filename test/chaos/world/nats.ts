import { cp, rm } from 'node:fs/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { type ClusterServer, startNatsCluster } from '../../support/nats-cluster.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { isRunning, type Process } from './processes.ts';

/** The NATS of a run: one server or three. */
export interface Nats {
  readonly processes: readonly NatsProcess[];
  /** Client ports of the servers. */
  readonly ports: readonly number[];
  /** An operator's connection to all servers, past every link. */
  readonly connection: NatsConnection;
  /** The name of the process that leads the events stream; `undefined` where nobody says. */
  leader(): Promise<string | undefined>;
  stop(): Promise<void>;
}

export interface NatsProcess extends Process {
  /** Copies its store aside, or puts the copy back. The server must not run in the second case. */
  saveStore(): Promise<void>;
  restoreStore(): Promise<void>;
}

export interface NatsOptions {
  readonly servers: 1 | 3;
  /** The port at which one server reaches the routes of another. */
  routeLink(from: string, to: string, port: number): Promise<number>;
}

export async function startNats({ servers, routeLink }: NatsOptions): Promise<Nats> {
  const { processes, urls, stop } = servers === 1 ? await startOne() : await startThree(routeLink);
  const connection = await connect({
    servers: [...urls],
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    ignoreClusterUpdates: true,
  });
  return {
    processes,
    ports: urls.map((url) => Number(new URL(url).port)),
    connection,
    async leader() {
      if (servers === 1) return processes[0]?.name;
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const found = await manager.streams.info(STREAM_NAME).catch(() => undefined);
      return found?.cluster?.leader;
    },
    async stop() {
      await connection.close().catch(() => {});
      await stop();
    },
  };
}

interface Started {
  readonly processes: readonly NatsProcess[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

async function startOne(): Promise<Started> {
  const server = await startNatsServer();
  const process = singleProcess(server);
  return { processes: [process], urls: [server.url], stop: () => server.stop() };
}

async function startThree(routeLink: NatsOptions['routeLink']): Promise<Started> {
  const cluster = await startNatsCluster({ routeLink });
  return {
    processes: cluster.servers.map(clusterProcess),
    urls: cluster.servers.map(({ url }) => url),
    stop: () => cluster.stop(),
  };
}

function singleProcess(server: NatsServer): NatsProcess {
  return {
    name: 'nats-1',
    part: 'nats',
    get pid() {
      return server.pid;
    },
    end: (signal) => server.kill(signal),
    async start() {
      if (!isRunning(server.pid)) await server.restart();
    },
    async freeze() {
      process.kill(server.pid, 'SIGSTOP');
    },
    thaw() {
      process.kill(server.pid, 'SIGCONT');
    },
    isReady: async () => isRunning(server.pid),
    ...storeCopies(server.storeFolder),
  };
}

function clusterProcess(server: ClusterServer): NatsProcess {
  return {
    name: server.name,
    part: 'nats',
    get pid() {
      return server.pid;
    },
    end: (signal) => server.kill(signal),
    async start() {
      if (!isRunning(server.pid)) await server.restart();
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    isReady: () => server.isHealthy(),
    ...storeCopies(server.storeFolder),
  };
}

function storeCopies(folder: string): Pick<NatsProcess, 'saveStore' | 'restoreStore'> {
  const copy = `${folder}-copy`;
  return {
    async saveStore() {
      await rm(copy, { recursive: true, force: true });
      await cp(folder, copy, { recursive: true });
    },
    async restoreStore() {
      await rm(folder, { recursive: true, force: true });
      await cp(copy, folder, { recursive: true });
    },
  };
}
