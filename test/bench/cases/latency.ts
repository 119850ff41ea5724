import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const CLIENTS = 100;
const PER_SECOND = 200;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 60_000;
const TOPICS = { prefix: 'latency', audiences: 1, topicsEach: 1 };

/** Events before the measurement. The first requests of a process take ten times as long. */
const WARM_UP_EVENTS = 400;

export const latency: BenchCase = {
  name: 'latency',
  title: 'latency at 200 events/s, 100 clients, HTTP post to client',
  sockets: CLIENTS,
  method: `${PER_SECOND} posts a second to ingest, each at its own time whether earlier ones are answered or not; latency from the moment of the request to the read in each of ${CLIENTS} WebSocket clients, over every delivery, after ${WARM_UP_EVENTS} events that do not count.`,
  targets: [
    { value: 'p50Ms', text: 'p50', atMost: 5, unit: 'ms' },
    { value: 'p99Ms', text: 'p99', atMost: 15, unit: 'ms' },
  ],
  async run(options) {
    const stage = await Stage.open(options);
    try {
      const gateway = await stage.startGateway();
      const ingest = await stage.startIngest();
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
      const post = async (events: number) => {
        await load.call('expect', { events });
        await readMetrics(gateway.url);
        const posted = publisher.call('post', {
          url: ingest.url,
          token: stage.token,
          topics: TOPICS,
          events,
          eventBytes: EVENT_BYTES,
          perSecond: PER_SECOND,
        });
        const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
        verify('receiving', received.faults);
        return { ...received, ...(await posted) };
      };
      await post(WARM_UP_EVENTS);
      const spent = await measure(gateway);
      const { latency: summary, lateMaxMs } = await post(PER_SECOND * (options.quick ? 5 : 20));
      const { otherCores, load: loadAverage } = await spent();
      const blockedMs = loopBlockMaxMs(await readMetrics(gateway.url));
      const { p50Ms, p99Ms, maxMs } = summary;
      return { p50Ms, p99Ms, maxMs, lateMaxMs, loopBlockMaxMs: blockedMs, otherCores, loadAverage };
    } finally {
      await stage.close();
    }
  },
};
