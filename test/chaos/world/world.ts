import { setTimeout as sleep } from 'node:timers/promises';
import { NATS_NODES } from '../../../infra/launcher/nats-cluster.mjs';
import { type Service, type ServiceName, startService } from '../../support/services.ts';
import type { GatewayAddress } from '../load/connection.ts';
import type { ReplayAddress } from '../load/readers.ts';
import { Disks } from './disks.ts';
import { Link } from './link.ts';
import { type Nats, startNats } from './nats.ts';
import { type Process, serviceProcess } from './processes.ts';

export interface WorldOptions {
  readonly servers: 1 | 3;
  readonly env: Readonly<Record<string, string>>;
  /** Where copies of stores are kept. */
  readonly copies: string;
}

/** The whole system of a run: NATS, two of each service, and the links between them. */
export interface World {
  readonly nats: Nats;
  readonly processes: readonly Process[];
  readonly links: readonly Link[];
  readonly disks: Disks;
  readonly gateways: readonly GatewayAddress[];
  readonly ingests: readonly string[];
  readonly replays: readonly (ReplayAddress & { readonly database: string })[];
  /** The last log lines of a service. */
  logs(name: string): string[];
  /** What is not ready. */
  unready(): Promise<string[]>;
  untilReady(timeoutMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

const INSTANCES = [1, 2];
const POLL_MS = 200;
const LOG_LINES = 30;

export async function startWorld({ servers, env, copies }: WorldOptions): Promise<World> {
  const links: Link[] = [];
  const link = async (name: string, target: number) => {
    const opened = await Link.open(name, target);
    links.push(opened);
    return opened.port;
  };
  const disks = await Disks.mount(
    NATS_NODES.slice(0, servers),
    INSTANCES.map((number) => `replay-${number}`),
  );
  const hasDisks = disks.names.length > 0;
  const nats = await startNats({
    servers,
    copies,
    routeLink: (from, to, port) => link(`${from} ${to}`, port),
    storeFolder: hasDisks ? (name) => disks.path(name, 'store') ?? '' : undefined,
  });
  const services = new Map<string, Service>();
  const start = async (part: ServiceName, number: number) => {
    const name = `${part}-${number}`;
    const ports = await Promise.all(
      nats.ports.map((port, index) => link(`${name} nats-${index + 1}`, port)),
    );
    const natsUrl = ports.map((port) => `nats://127.0.0.1:${port}`).join(',');
    const database = disks.path(name, 'archive.db');
    const own = { ...env, ...(database && { TIDEMARK_REPLAY_DATABASE: database }) };
    services.set(name, await startService(part, { natsUrl, env: own, waitUntilReady: false }));
  };
  for (const part of ['replay', 'ingest', 'gateway'] as const) {
    await Promise.all(INSTANCES.map((number) => start(part, number)));
  }
  const of = (part: ServiceName) => [...services].filter(([, service]) => service.name === part);
  const gateways = await Promise.all(
    of('gateway').map(async ([name, { port }]) => {
      return { name, url: `http://127.0.0.1:${await link(`client ${name}`, port)}` };
    }),
  );
  const processes: Process[] = [
    ...nats.processes,
    ...[...services].map(([name, service]) => serviceProcess(name, service)),
  ];
  const unready = async () => {
    const states = await Promise.all(processes.map((process) => process.isReady()));
    return processes.filter((_, index) => !states[index]).map(({ name }) => name);
  };
  return {
    nats,
    processes,
    links,
    disks,
    gateways,
    ingests: of('ingest').map(([, { url }]) => url),
    replays: of('replay').map(([name, { url, database }]) => ({ name, url, database })),
    logs: (name) =>
      (services.get(name)?.logs ?? []).slice(-LOG_LINES).map((line) => JSON.stringify(line)),
    unready,
    async untilReady(timeoutMs) {
      const deadlineMs = performance.now() + timeoutMs;
      while ((await unready()).length > 0) {
        if (performance.now() > deadlineMs) return false;
        await sleep(POLL_MS);
      }
      return true;
    },
    async stop() {
      await Promise.all([...services.values()].map((service) => service.stop()));
      await nats.stop();
      for (const opened of links) opened.close();
      await disks.remove();
    },
  };
}
