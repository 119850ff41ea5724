import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
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
  /** Copies its store aside, or puts the copy back. The server must not write meanwhile. */
  saveStore(): Promise<void>;
  restoreStore(): Promise<void>;
}

export interface NatsOptions {
  readonly servers: 1 | 3;
  /** The port at which one server reaches the routes of another. */
  routeLink(from: string, to: string, port: number): Promise<number>;
  /** Of each server's store; without it temporary ones. */
  readonly storeFolder: ((name: string) => string) | undefined;
  /** Where copies of the stores are kept. */
  readonly copies: string;
}

export async function startNats(options: NatsOptions): Promise<Nats> {
  const { servers } = options;
  const { processes, urls, stop } = await (servers === 1 ? startOne(options) : startThree(options));
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

async function startOne({ storeFolder, copies }: NatsOptions): Promise<Started> {
  const server = await startNatsServer(storeFolder ? { storeFolder: storeFolder('nats-1') } : {});
  const process = singleProcess(server, copies);
  return { processes: [process], urls: [server.url], stop: () => server.stop() };
}

async function startThree({ routeLink, storeFolder, copies }: NatsOptions): Promise<Started> {
  const cluster = await startNatsCluster({ routeLink, ...(storeFolder && { storeFolder }) });
  return {
    processes: cluster.servers.map((server) => clusterProcess(server, copies)),
    urls: cluster.servers.map(({ url }) => url),
    stop: () => cluster.stop(),
  };
}

function singleProcess(server: NatsServer, copies: string): NatsProcess {
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
    ...storeCopies(server.storeFolder, join(copies, 'nats-1')),
  };
}

function clusterProcess(server: ClusterServer, copies: string): NatsProcess {
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
    ...storeCopies(server.storeFolder, join(copies, server.name)),
  };
}

function storeCopies(
  folder: string,
  copy: string,
): Pick<NatsProcess, 'saveStore' | 'restoreStore'> {
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
