import { raiseFileLimit } from '../bench/system/file-limit.ts';

/** The sizes between which costs are a line, in bytes of the event's JSON. */
export const SMALL_BYTES = 300;
export const LARGE_BYTES = 3000;

/** How much is measured. */
export interface Scale {
  /** Idle connections. */
  readonly connections: number;
  /** Readers of one topic, and readers of a topic each. */
  readonly sharing: number;
  readonly owning: number;
  /** Events for one reader or none. */
  readonly events: number;
  readonly stalled: number;
  readonly topics: number;
  /** Requests to ingest. */
  readonly requests: number;
  readonly seconds: number;
  /** More often than in a deployment, so that there are enough heartbeats to measure. */
  readonly heartbeatMs: number;
  /** The time that processes get to come to rest. */
  readonly settleMs: number;
}

export const FULL: Scale = {
  connections: 10_000,
  sharing: 1000,
  owning: 5000,
  events: 80_000,
  stalled: 100,
  topics: 100_000,
  requests: 4000,
  seconds: 4,
  heartbeatMs: 3000,
  settleMs: 3000,
};

export const QUICK: Scale = {
  connections: 600,
  sharing: 100,
  owning: 300,
  events: 4000,
  stalled: 10,
  topics: 4000,
  requests: 300,
  seconds: 1,
  heartbeatMs: 500,
  settleMs: 200,
};

/** Fewer of the large ones, which take longer. */
export function eventsOf({ events }: Scale, bytes: number): number {
  return Math.ceil(bytes > SMALL_BYTES ? events * 0.4 : events);
}

/** @returns the scale that the limit of open files allows, which root can raise and others cannot */
export function withinFileLimit(scale: Scale): Scale {
  let { connections } = scale;
  while (connections > 500 && raiseFileLimit(connections) !== undefined) connections /= 2;
  const most = Math.floor(connections);
  return { ...scale, connections: most, owning: Math.min(scale.owning, most) };
}
