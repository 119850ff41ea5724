import type { BareLoopCommands } from '../peers/bare-loop.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { type Measured, measure, type Spent, verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions } from './bench-case.ts';

const CLIENTS = 10_000;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 180_000;
const TOPICS = { prefix: 'narrow', audiences: CLIENTS, topicsEach: 1 };

/** What is published: events that go round the topics of the clients. */
const NARROW_PLAN = { topics: TOPICS, eventBytes: EVENT_BYTES, perSecond: 0 };

export const narrow: BenchCase = {
  name: 'narrow',
  title: 'narrow: 10,000 clients, each its own topic',
  sockets: CLIENTS,
  method: `Events go round the topics of ${CLIENTS} WebSocket clients, published as fast as NATS takes them; deliveries through the gateway's CPU time. The bare loop writes frames of the same length, encoded before, to as many \`net\` sockets, and does nothing else.`,
  targets: [
    { value: 'ratio', text: "of the bare loop's deliveries per CPU s", atLeast: 0.8, unit: 'x' },
  ],
  async run(options) {
    const rounds = options.quick ? 5 : 20;
    const deliveries = CLIENTS * rounds;
    const stage = await Stage.open(options);
    try {
      const gateway = await stage.startGateway();
      const publisher = await stage.startPublisher();
      const served = await observeNarrow(stage, options, gateway, rounds, () => {
        return publisher.call('publish', { ...NARROW_PLAN, events: deliveries });
      });
      await gateway.stop();
      const file = new URL('../peers/bare-loop.ts', import.meta.url);
      const bare = await stage.startWorker<BareLoopCommands>(file);
      const { port } = await bare.call('listen', {});
      const written = await observeNarrow(stage, options, { port, pid: bare.pid }, rounds, () => {
        return bare.call('write', { rounds, eventBytes: EVENT_BYTES });
      });
      return {
        ratio: written.cpuSeconds / served.cpuSeconds,
        deliveriesPerCpuSecond: deliveries / served.cpuSeconds,
        barePerCpuSecond: deliveries / written.cpuSeconds,
        cpuSeconds: served.cpuSeconds,
        loopBlockMaxMs: served.blockedMs,
        otherCores: served.otherCores,
        loadAverage: served.load,
      };
    } finally {
      await stage.close();
    }
  },
};

/** Measures a server while its clients receive the events that `send` makes it send. */
async function observeNarrow(
  stage: Stage,
  { quick }: RunOptions,
  server: Measured & { readonly port: number; readonly url?: string },
  events: number,
  send: () => Promise<unknown>,
): Promise<Spent & { readonly blockedMs: number }> {
  const load = await stage.startLoad();
  const opened = await load.call('open', {
    ...stage.clientPlan(server.port),
    eventBytes: EVENT_BYTES,
    timed: false,
    check: 'counter',
    clients: CLIENTS,
    topics: TOPICS,
    until: 'liveUs',
    timeoutMs: TIMEOUT_MS,
  });
  verify('opening', opened.faults);
  if (!quick) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await load.call('expect', { events });
  if (server.url) await readMetrics(server.url);
  const spent = await measure(server);
  const sent = send();
  const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
  const result = await spent();
  await sent;
  const blockedMs = server.url ? loopBlockMaxMs(await readMetrics(server.url)) : 0;
  verify('receiving', received.faults);
  await load.call('close', {});
  return { ...result, blockedMs };
}

/** Pause after ten thousand handshakes, so that their garbage is collected before the measurement. */
const SETTLE_MS = 3000;
