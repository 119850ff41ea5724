import type { Machine } from '../bench/report/machine.ts';

/**
 * A cost that grows with the size of the event: microseconds of CPU, or bytes. `perKib` is added for each
 * 1,024 bytes of the event's JSON.
 */
export interface SizedCost {
  readonly base: number;
  readonly perKib: number;
}

/** What connections of one transport take. */
export interface ConnectionCost {
  /** Resident memory of the gateway for one idle connection with one subscription. */
  readonly residentBytes: number;
  /** Memory of the kernel for the gateway's end of it; 0 where the system does not tell. */
  readonly kernelBytes: number;
  /** CPU of the gateway for its handshake and its first subscription. */
  readonly openUs: number;
  /** CPU of the gateway for one heartbeat. */
  readonly heartbeatUs: number;
  /** CPU of the gateway for an event that one connection gets, in a write of its own. */
  readonly write: SizedCost;
  /** The same at saturation, where one write holds many events, for an event of 300 bytes. */
  readonly batchedUs: number;
}

/** The costs of one machine. Times are microseconds of CPU. */
export interface Costs {
  readonly websocket: ConnectionCost;
  readonly sse: ConnectionCost;
  readonly gateway: {
    /** Resident memory that does not grow with the number of connections, without the tail. */
    readonly residentBytes: number;
    /** Each event of the stream, at each gateway, whether somebody reads it there or not. */
    readonly receive: SizedCost;
    /** An event at a gateway where somebody reads it, once, in addition. */
    readonly fanOut: SizedCost;
    /** An event that a WebSocket client publishes. */
    readonly append: SizedCost;
    /** An event for one reader that reads everything, from the archive. */
    readonly wideCatchUp: SizedCost;
    /** An event of 300 bytes for readers of few topics each, with their handshakes. */
    readonly narrowCatchUpUs: number;
    /** A topic that has an event in the tail. */
    readonly topicBytes: number;
  };
  readonly ingest: {
    /** An event in a request of its own. */
    readonly append: SizedCost;
    /** An event in a batch of 100. */
    readonly batchAppend: SizedCost;
  };
  readonly nats: {
    /** An event that the stream stores and acknowledges: from requests of their own, and from batches. */
    readonly append: SizedCost;
    readonly batchAppend: SizedCost;
    /** An event that one gateway or replay service receives. */
    readonly feed: SizedCost;
    /** A topic of the stream, in memory. */
    readonly topicBytes: number;
    /** An event that is younger than the duplicate window, in memory. */
    readonly messageIdBytes: number;
    /** Events of 300 bytes that one stream takes in a second without sync; a lower bound. */
    readonly appendsPerSecond: number;
  };
  readonly replay: {
    /** An event that goes into the archive. */
    readonly project: SizedCost;
    readonly wideCatchUp: SizedCost;
    readonly narrowCatchUpUs: number;
  };
  /** Bytes on disk for one event. */
  readonly stored: {
    readonly stream: SizedCost;
    readonly archive: SizedCost;
  };
  /** Kernel memory of a gateway for a connection whose client has stopped to read. */
  readonly stalledKernelBytes: number;
}

/** The file that a run writes and a plan reads. */
export interface CostFile {
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** Costs of a quick run are not results. */
  readonly quick: boolean;
  readonly costs: Costs;
}

export interface Point {
  readonly bytes: number;
  readonly value: number;
}

/** The line through the costs of two sizes. It never falls, and never begins below 0. */
export function lineThrough(small: Point, large: Point): SizedCost {
  const slope = Math.max(0, (large.value - small.value) / (large.bytes - small.bytes));
  return { base: Math.max(0, small.value - slope * small.bytes), perKib: slope * 1024 };
}

export function costOf({ base, perKib }: SizedCost, bytes: number): number {
  return base + (perKib * bytes) / 1024;
}

/** What is left of a cost without parts of it that were measured apart. */
export function without(cost: SizedCost, ...parts: readonly SizedCost[]): SizedCost {
  const sum = (key: keyof SizedCost) => parts.reduce((total, part) => total + part[key], 0);
  return {
    base: Math.max(0, cost.base - sum('base')),
    perKib: Math.max(0, cost.perKib - sum('perKib')),
  };
}
