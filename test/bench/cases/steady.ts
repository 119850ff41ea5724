import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const CLIENTS = 1000;
const PER_SECOND = 1000;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 60_000;
const TOPICS = { prefix: 'steady', audiences: 1, topicsEach: 1 };

export const steady: BenchCase = {
  name: 'steady',
  title: '1,000 events/s to 1,000 clients (1 million deliveries/s), open loop',
  sockets: CLIENTS,
  method: `A publisher sends ${PER_SECOND} events a second into the stream, each due at its own time and stamped with it, late or not; latency from then to the read in each of ${CLIENTS} WebSocket clients, over every delivery. Sustained: deliveries of the whole run through the time from the first due event to the last delivery.`,
  targets: [
    {
      value: 'deliveriesPerSecond',
      text: 'deliveries a second',
      // The last events of a run of limited length are still on their way when it ends.
      atLeast: 0.98 * CLIENTS * PER_SECOND,
      unit: '/s',
    },
    { value: 'p99Ms', text: 'delivery p99', atMost: 100, unit: 'ms' },
  ],
  async run(options) {
    const seconds = options.quick ? 5 : 20;
    const stage = await Stage.open(options);
    try {
      const gateway = await stage.startGateway();
      const load = await stage.startLoad();
      const publisher = await stage.startPublisher();
      const opened = await load.call('open', {
        ...stage.clientPlan(gateway.port),
        eventBytes: EVENT_BYTES,
        timed: true,
        check: 'sequence',
        clients: CLIENTS,
        topics: TOPICS,
        until: 'liveUs',
        timeoutMs: TIMEOUT_MS,
      });
      verify('opening', opened.faults);
      const publish = async (events: number) => {
        await load.call('expect', { events });
        await readMetrics(gateway.url);
        const published = publisher.call('publish', {
          topics: TOPICS,
          events,
          eventBytes: EVENT_BYTES,
          perSecond: PER_SECOND,
        });
        const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
        verify('receiving', received.faults);
        return { ...(await published), ...received };
      };
      // The first events warm up: Node compiles its code before the measurement.
      await publish(PER_SECOND);
      const spent = await measure(gateway);
      const events = PER_SECOND * seconds;
      const { latency, startedUs, lastUs, cpuMs } = await publish(events);
      const { cpuSeconds, wallSeconds, otherCores, load: loadAverage } = await spent();
      const { p50Ms, p99Ms, maxMs } = latency;
      return {
        deliveriesPerSecond: (CLIENTS * events * 1e6) / (lastUs - startedUs),
        p50Ms,
        p99Ms,
        maxMs,
        gatewayCores: cpuSeconds / wallSeconds,
        loadCores: cpuMs / 1000 / wallSeconds,
        loopBlockMaxMs: loopBlockMaxMs(await readMetrics(gateway.url)),
        otherCores,
        loadAverage,
      };
    } finally {
      await stage.close();
    }
  },
};
