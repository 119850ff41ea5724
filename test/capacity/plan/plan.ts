import type { Costs } from '../costs.ts';
import type { Demand } from './demand.ts';
import { GATEWAY_CONNECTIONS_MAX, type Load, loadOf } from './load.ts';

const GIB = 1024 ** 3;
/** Above this the alert `MemoryHigh` fires. */
const PROCESS_BYTES_MAX = 3 * GIB;
/** The part of a machine's memory that processes and sockets may take. */
const MEMORY_PART = 0.8;
const GATEWAYS_MAX = 100_000;

/** One kind of process. */
export interface Part {
  readonly name: string;
  readonly processes: number;
  /** CPU seconds in a second, and bytes, of one. */
  readonly cores: number;
  readonly memoryBytes: number;
}

export interface Bound {
  readonly name: string;
  /** What is used of it, from 0; above 1 the demand cannot be met. */
  readonly used: number;
}

export interface Plan {
  readonly parts: readonly Part[];
  readonly machines: number;
  /** What decides the number of gateways and of machines: the most used first. */
  readonly gatewayBounds: readonly Bound[];
  readonly machineBounds: readonly Bound[];
  /** What no further machine helps against: here one stream ends. The most used first. */
  readonly streamBounds: readonly Bound[];
  readonly kernelBytes: number;
  readonly deliveryBits: number;
  readonly streamBytesADay: number;
  readonly archiveBytesADay: number;
  /** The time until all connections are back after all were lost. */
  readonly returnSeconds: number;
}

/**
 * Computes what a demand takes. A process of Node uses one core, so more work needs more processes. Work that
 * every gateway does for every event cannot be divided.
 *
 * @returns `undefined` where the receiving alone is more than a gateway's part of a core
 */
export function planFor(demand: Demand, costs: Costs): Plan | undefined {
  const gateways = gatewaysFor(demand, costs);
  if (gateways === undefined) return undefined;
  const load = loadOf(demand, costs, gateways);
  const parts = partsOf(demand, load, gateways);
  const machineBounds = boundsOfMachines(demand, load, parts);
  const machines = Math.max(demand.replicas, Math.ceil(machineBounds[0]?.used ?? 1), 1);
  const idle = 1 - gatewayCores(load, gateways);
  const { returning } = load;
  return {
    parts,
    machines,
    gatewayBounds: boundsOfGateways(demand, load, gateways),
    machineBounds: machineBounds.map(({ name, used }) => ({ name, used: used / machines })),
    streamBounds: streamBounds(demand, costs, gateways),
    kernelBytes: load.kernelBytes,
    deliveryBits: load.deliveryBits,
    streamBytesADay: load.streamBytesADay * demand.replicas,
    archiveBytesADay: load.archiveBytesADay * demand.replays,
    returnSeconds: Math.max(
      returning.gateways / (gateways * idle),
      demand.replays === 0 ? 0 : returning.replays / (demand.replays * (1 - load.projecting)),
    ),
  };
}

/** How far one stream is used, with that number of gateways. The most used first. */
export function streamBounds(demand: Demand, costs: Costs, gateways: number): Bound[] {
  const load = loadOf(demand, costs, gateways);
  const { use, cores, memoryGib, gigabits, replays, replicas, eventsPerSecond } = demand;
  const readers = gateways + replays;
  return sorted({
    'appends of one stream': eventsPerSecond / (costs.nats.appendsPerSecond * use),
    'a gateway, which receives every event': load.receiving / use,
    'replay, which writes every event': replays === 0 ? 0 : load.projecting / use,
    'CPU of the leading NATS server': (load.storing + load.feeding * readers) / (cores * use),
    'network of the leading NATS server':
      (load.feedBits * (readers + replicas - 1)) / (gigabits * 1e9 * use),
    'memory of the leading NATS server': load.natsBytes / (memoryGib * GIB * MEMORY_PART),
  });
}

/** Connections and events of the demand grow together, until so many machines are used. */
export function largestFor(demand: Demand, costs: Costs, machines: number): Demand | undefined {
  const fits = (factor: number) => {
    const plan = planFor(grown(demand, factor), costs);
    return plan !== undefined && plan.machines <= machines && isWithinStream(plan);
  };
  let [low, high] = [0, 1];
  while (fits(high) && high < 2 ** 40) [low, high] = [high, high * 2];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low === 0 ? undefined : grown(demand, low);
}

/**
 * How many times the connections and events of the demand one stream takes, with as many gateways as that needs.
 *
 * @returns `undefined` where no events are published, so that nothing bounds it
 */
export function growthOf(demand: Demand, costs: Costs): number | undefined {
  if (demand.eventsPerSecond === 0) return undefined;
  const most = largestFor(demand, costs, Number.POSITIVE_INFINITY);
  return (most?.eventsPerSecond ?? 0) / demand.eventsPerSecond;
}

function grown(demand: Demand, factor: number): Demand {
  const { connections, eventsPerSecond } = demand;
  return {
    ...demand,
    connections: Math.floor(connections * factor),
    eventsPerSecond: eventsPerSecond * factor,
  };
}

function isWithinStream({ streamBounds: [first] }: Plan): boolean {
  return (first?.used ?? 0) <= 1;
}

function gatewaysFor(demand: Demand, costs: Costs): number | undefined {
  const fits = (gateways: number) => {
    const [first] = boundsOfGateways(demand, loadOf(demand, costs, gateways), gateways);
    return (first?.used ?? 0) <= 1;
  };
  if (!fits(GATEWAYS_MAX)) return undefined;
  // Each bound falls with the number of gateways.
  let [low, high] = [0, GATEWAYS_MAX];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function gatewayCores({ receiving, delivering }: Load, gateways: number): number {
  return receiving + delivering / gateways;
}

function boundsOfGateways({ connections, use }: Demand, load: Load, gateways: number): Bound[] {
  const { each, connections: bytes } = load.gatewayMemory;
  return sorted({
    CPU: gatewayCores(load, gateways) / use,
    memory: (each + bytes / gateways) / PROCESS_BYTES_MAX,
    TIDEMARK_GATEWAY_CONNECTIONS_MAX: connections / gateways / GATEWAY_CONNECTIONS_MAX,
  });
}

function partsOf({ use, replays, replicas }: Demand, load: Load, gateways: number): Part[] {
  const { serviceBytes } = load;
  const { each, connections } = load.gatewayMemory;
  const ingests = Math.max(1, Math.ceil(load.ingest / use));
  const leading = load.storing + load.feeding * (gateways + replays);
  const part = (name: string, processes: number, cores: number, memoryBytes = serviceBytes) => {
    return { name, processes, cores, memoryBytes };
  };
  return [
    part('gateway', gateways, gatewayCores(load, gateways), each + connections / gateways),
    part('ingest', ingests, load.ingest / ingests),
    part('replay', replays, load.projecting),
    part('nats-server, the leader', 1, leading, load.natsBytes),
    part('nats-server, a follower', replicas - 1, load.storing, load.natsBytes),
  ].filter(({ processes }) => processes > 0);
}

/** Machines by each bound. */
function boundsOfMachines(demand: Demand, load: Load, parts: readonly Part[]): Bound[] {
  const { cores, memoryGib, gigabits, use, replays, replicas } = demand;
  const total = (of: 'cores' | 'memoryBytes') =>
    parts.reduce((sum, part) => sum + part[of] * part.processes, 0);
  const gateways = parts[0]?.processes ?? 0;
  const bits = load.deliveryBits + load.feedBits * (gateways + replays + replicas - 1);
  return sorted({
    CPU: total('cores') / (cores * use),
    memory: (total('memoryBytes') + load.kernelBytes) / (memoryGib * GIB * MEMORY_PART),
    network: bits / (gigabits * 1e9 * use),
  });
}

function sorted(bounds: Readonly<Record<string, number>>): Bound[] {
  return Object.entries(bounds)
    .map(([name, used]) => ({ name, used }))
    .sort((left, right) => right.used - left.used);
}
