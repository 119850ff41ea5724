import type { FleetPlan } from '../load/fleet.ts';
import { holdToShare } from '../system/cpu-share.ts';
import { readPerProcess } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';

const COUNTS = [1, 2, 4] as const;

/** Cores that each process has. What is left of a small machine is for NATS, the publisher and the clients. */
const CORES_EACH = 0.1;

const EVENT_BYTES = 300;
const TIMEOUT_MS = 180_000;

/** Who listens to what, and how many events each client is sent. */
interface Audience {
  readonly clients: number;
  readonly check: FleetPlan['check'];
  readonly topics: FleetPlan['topics'];
  readonly events: number;
}

const FAN_OUT: Audience = {
  clients: 1000,
  check: 'sequence',
  topics: { prefix: 'fan-out', audiences: 1, topicsEach: 1 },
  events: 10_000,
};

const NARROW: Audience = {
  clients: 5000,
  check: 'counter',
  topics: { prefix: 'narrow', audiences: 5000, topicsEach: 1 },
  events: 10,
};

export const processes: BenchCase = {
  name: 'processes',
  title: 'one, two and four gateway processes on one port, each with a tenth of a core',
  sockets: NARROW.clients,
  method: `TIDEMARK_GATEWAY_PROCESSES=1, 2 and 4, one after the other in one run: ${FAN_OUT.clients} WebSocket clients on one topic, and ${NARROW.clients} with a topic of their own each, to whom events of ${EVENT_BYTES} bytes are published as fast as NATS takes them. After a first round a control group holds the gateway, its parent included, to as many tenths of a core as it has processes, and the second round is measured; so NATS, publisher and load, which are on the same cores, have what they need. The figures are deliveries per second as a multiple of one process'. The spread is the part of the connections that the process with the most has.`,
  targets: [
    { value: 'fanOut4', text: "times one process' fan-out, with four", atLeast: 3, unit: 'x' },
    { value: 'narrow4', text: "times one process' narrow, with four", atLeast: 2, unit: 'x' },
    { value: 'spreadMax', text: 'of the connections in one of four', atMost: 0.3, unit: '' },
  ],
  async run(options) {
    const values: Record<string, number> = {};
    for (const count of COUNTS) {
      const fanOut = await measureHeld(FAN_OUT, count, options);
      const narrow = await measureHeld(NARROW, count, options);
      for (const [name, { perSecond = 0, cores = 0 }] of Object.entries({ fanOut, narrow })) {
        values[`${name}PerSecond${count}`] = perSecond;
        values[`${name}Cores${count}`] = cores;
        values[`${name}${count}`] = perSecond / (values[`${name}PerSecond1`] ?? Number.NaN);
      }
      values.spreadMax = narrow.spreadMax ?? Number.NaN;
    }
    return values;
  },
};

/** Measures what so many processes deliver in a second. */
async function measureHeld(
  { clients, check, topics, events: most }: Audience,
  count: number,
  options: RunOptions,
): Promise<Values> {
  const events = options.quick ? most / 5 : most;
  const stage = await Stage.open(options);
  try {
    const gateway = await stage.startGateway({ TIDEMARK_GATEWAY_PROCESSES: String(count) });
    const publisher = await stage.startPublisher();
    const load = await stage.startLoad();
    const opened = await load.call('open', {
      ...stage.clientPlan(gateway.port),
      ...{ clients, check, topics, eventBytes: EVENT_BYTES, timed: false },
      ...{ until: 'liveUs', timeoutMs: TIMEOUT_MS },
    });
    verify('opening', opened.faults);
    const connections = await readPerProcess(gateway.url, 'tidemark_gateway_connections');
    const round = async (): Promise<void> => {
      await load.call('expect', { events });
      const plan = { topics, events: events * topics.audiences, eventBytes: EVENT_BYTES };
      const published = publisher.call('publish', { ...plan, perSecond: 0, goesOn: true });
      const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
      await published;
      verify('receiving', received.faults);
    };
    await round();
    const release = holdToShare(gateway.pid, CORES_EACH * count);
    try {
      const spent = await measure(gateway);
      await round();
      const { cpuSeconds, wallSeconds } = await spent();
      return {
        perSecond: (clients * events) / wallSeconds,
        cores: cpuSeconds / wallSeconds,
        spreadMax: Math.max(...connections) / clients,
      };
    } finally {
      release();
    }
  } finally {
    await stage.close();
  }
}
