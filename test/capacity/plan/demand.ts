/** What a deployment has to do, and the machines that are there for it. */
export interface Demand {
  readonly connections: number;
  readonly eventsPerSecond: number;
  /** Bytes of an event's JSON. */
  readonly size: number;
  /** Connections that get an event, on average. */
  readonly fanOut: number;
  /** The part of the connections that uses SSE, from 0 to 1. */
  readonly sse: number;
  /** The part of the connections whose clients have stopped to read, from 0 to 1. */
  readonly stalled: number;
  /** Events that each connection missed where all of them come back at once. */
  readonly missed: number;
  readonly topics: number;
  /** Events in a request to ingest: 1, or many. */
  readonly batch: number;
  readonly streamDays: number;
  readonly archiveDays: number;
  /** Servers that each event is stored on. */
  readonly replicas: number;
  readonly replays: number;
  /** Of one machine. */
  readonly cores: number;
  readonly memoryGib: number;
  readonly gigabits: number;
  /** The part of a core or a network that is planned for; the rest is for peaks. */
  readonly use: number;
}

interface DemandOption {
  readonly key: keyof Demand;
  readonly fallback: number;
  readonly atLeast: number;
  readonly atMost: number;
  readonly text: string;
}

const ANY = Number.MAX_SAFE_INTEGER;

/** The options of a plan, by their names on the command line. */
export const DEMAND_OPTIONS: Readonly<Record<string, DemandOption>> = {
  connections: option('connections', 10_000, 1, ANY, 'connections at the same time'),
  'events-per-second': option('eventsPerSecond', 1000, 0, ANY, 'events that are published'),
  size: option('size', 300, 100, 1_048_576, 'bytes of an event'),
  'fan-out': option('fanOut', 1, 0, ANY, 'connections that get an event, on average'),
  sse: option('sse', 0, 0, 1, 'part of the connections that uses SSE'),
  stalled: option('stalled', 0.01, 0, 1, 'part of the connections that has stopped to read'),
  missed: option('missed', 10, 0, ANY, 'events that each missed when all come back at once'),
  topics: option('topics', 10_000, 1, ANY, 'topics in the stream'),
  batch: option('batch', 1, 1, 10_000, 'events in a request to ingest'),
  'stream-days': option('streamDays', 7, 0, ANY, 'days that events stay in the stream'),
  'archive-days': option('archiveDays', 90, 0, ANY, 'days that the disks of the archives last'),
  replicas: option('replicas', 1, 1, 5, 'NATS servers that each event is stored on'),
  replays: option('replays', 1, 0, 100, 'replay services'),
  cores: option('cores', 8, 1, 1024, 'cores of a machine'),
  'memory-gib': option('memoryGib', 32, 1, 65_536, 'memory of a machine'),
  gigabits: option('gigabits', 10, 0.001, 10_000, "Gbit/s of a machine's network"),
  use: option('use', 0.5, 0.01, 1, 'part of cores and network that may be used'),
};

/** @throws Error with one sentence that names the fault */
export function readDemand(values: Readonly<Record<string, unknown>>): Demand {
  const entries = Object.entries(DEMAND_OPTIONS).map(
    ([name, { key, fallback, atLeast, atMost }]) => {
      const given = values[name];
      const value = given === undefined ? fallback : Number(given);
      if (given !== '' && value >= atLeast && value <= atMost) return [key, value];
      throw new Error(`--${name} ${given} is no number from ${atLeast} to ${atMost}.`);
    },
  );
  return Object.fromEntries(entries) as unknown as Demand;
}

function option(
  key: keyof Demand,
  fallback: number,
  atLeast: number,
  atMost: number,
  text: string,
): DemandOption {
  return { key, fallback, atLeast, atMost, text };
}
