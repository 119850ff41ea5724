import { type Costs, costOf } from '../costs.ts';
import type { Demand } from './demand.ts';

const MIB = 1024 ** 2;

/** Default settings that a plan keeps to. */
export const GATEWAY_CONNECTIONS_MAX = 100_000;
const HEARTBEAT_SECONDS = 15;
const DUPLICATE_WINDOW_SECONDS = 600;
const TAIL_BYTES = 256 * MIB;
const TAIL_EVENTS = 500_000;
const DAY_SECONDS = 86_400;

/** A service process without its work, and a NATS server. */
const SERVICE_BYTES = 150 * MIB;
/** Beside the event: cursor, frame, and the headers of TCP, IP and Ethernet. */
const DELIVERY_OVERHEAD_BYTES = 150;
const FEED_OVERHEAD_BYTES = 250;

/** What the demand costs. Times are CPU seconds in a second. */
export interface Load {
  /** A gateway that has no connection: what each further one costs. */
  readonly receiving: number;
  /** Everything that is divided among the gateways. */
  readonly delivering: number;
  readonly gatewayMemory: { readonly each: number; readonly connections: number };
  readonly kernelBytes: number;
  readonly ingest: number;
  /** One replay service. */
  readonly projecting: number;
  /** One NATS server that stores, and what it does for each gateway or replay service. */
  readonly storing: number;
  readonly feeding: number;
  readonly natsBytes: number;
  readonly serviceBytes: number;
  readonly deliveryBits: number;
  readonly feedBits: number;
  /** Bytes in a day, of one server and of one archive. */
  readonly streamBytesADay: number;
  readonly archiveBytesADay: number;
  /** CPU seconds until all connections are back: of all gateways, and of all replay services. */
  readonly returning: { readonly gateways: number; readonly replays: number };
}

/** @param gateways their number, on which it depends how many of them have readers of an event */
export function loadOf(demand: Demand, costs: Costs, gateways: number): Load {
  const { connections, eventsPerSecond, size, fanOut, missed, topics } = demand;
  const { gateway, ingest, nats, replay, stored } = costs;
  const mixed = (of: (cost: Costs['sse']) => number) =>
    demand.sse * of(costs.sse) + (1 - demand.sse) * of(costs.websocket);
  const seconds = (us: number) => us / 1e6;
  const readers = Math.min(1, fanOut / gateways);
  const writing = mixed(({ write }) => costOf(write, size)) * eventsPerSecond * fanOut;
  const beating = (mixed(({ heartbeatUs }) => heartbeatUs) * connections) / HEARTBEAT_SECONDS;
  const opening = mixed(({ openUs }) => openUs);
  const isBatched = demand.batch > 1;
  const topicsInTail = Math.min(topics, TAIL_EVENTS);
  const resident = mixed(({ residentBytes }) => residentBytes);
  const kernel = mixed(({ kernelBytes }) => kernelBytes);
  const ids = eventsPerSecond * DUPLICATE_WINDOW_SECONDS * nats.messageIdBytes;
  const bits = (bytes: number) => 8 * eventsPerSecond * (size + bytes);
  return {
    receiving: seconds(
      eventsPerSecond * (costOf(gateway.receive, size) + readers * costOf(gateway.fanOut, size)),
    ),
    delivering: seconds(writing + beating),
    gatewayMemory: {
      each: gateway.residentBytes + TAIL_BYTES + topicsInTail * gateway.topicBytes,
      connections: connections * resident,
    },
    kernelBytes: connections * (kernel + demand.stalled * costs.stalledKernelBytes),
    ingest: seconds(eventsPerSecond * costOf(isBatched ? ingest.batchAppend : ingest.append, size)),
    projecting: seconds(eventsPerSecond * costOf(replay.project, size)),
    storing: seconds(eventsPerSecond * costOf(isBatched ? nats.batchAppend : nats.append, size)),
    feeding: seconds(eventsPerSecond * costOf(nats.feed, size)),
    natsBytes: SERVICE_BYTES + topics * nats.topicBytes + ids,
    serviceBytes: SERVICE_BYTES,
    deliveryBits: bits(DELIVERY_OVERHEAD_BYTES) * fanOut,
    feedBits: bits(FEED_OVERHEAD_BYTES),
    streamBytesADay: DAY_SECONDS * eventsPerSecond * costOf(stored.stream, size),
    archiveBytesADay: DAY_SECONDS * eventsPerSecond * costOf(stored.archive, size),
    returning: {
      gateways: seconds(connections * (opening + missed * gateway.narrowCatchUpUs)),
      replays: seconds(connections * missed * replay.narrowCatchUpUs),
    },
  };
}
