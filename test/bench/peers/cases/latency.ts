import { verify } from '../../system/measurement.ts';
import { type ComparisonCase, circumstances, EVENT_BYTES } from './comparison-case.ts';

const CLIENTS = 500;
const PER_SECOND = 200;
const SECONDS = 10;
const WARM_UP_EVENTS = 400;
/** Requests that may be under way at once. */
const PUBLISHERS = 32;
const TIMEOUT_MS = 60_000;
const TOPICS = { prefix: 'latency', audiences: 1, topicsEach: 1 };

export const latency: ComparisonCase = {
  name: 'latency',
  title: '200 events/s over HTTP to 500 clients',
  method: `${PER_SECOND} requests a second with one event each, each at its own time whether earlier ones are answered or not; latency from the moment of the request to the read in each of ${CLIENTS} clients, over every delivery of ${SECONDS} s, after ${WARM_UP_EVENTS} events that do not count.`,
  rows: [
    { value: 'p50Ms', text: 'publish to receive, p50', unit: 'ms', better: 'lower' },
    { value: 'p99Ms', text: 'publish to receive, p99', unit: 'ms', better: 'lower' },
    { value: 'wholeCores', text: 'cores of the whole system', unit: '', better: 'lower' },
  ],
  sockets: CLIENTS,
  needs: { recovery: false },
  async run(arena, { quick }) {
    const { load, publisher, system } = arena;
    const opened = await load.call(
      'open',
      arena.clients({ clients: CLIENTS, topics: TOPICS, eventBytes: EVENT_BYTES, timed: true }),
    );
    verify('opening', opened.faults);
    const publishAtRate = async (requests: number) => {
      await load.call('expect', { events: requests });
      const used = arena.measure();
      const published = publisher.call('requestsAtRate', {
        target: system.target,
        topics: TOPICS,
        eventBytes: EVENT_BYTES,
        publishers: PUBLISHERS,
        batch: 1,
        perSecond: PER_SECOND,
        requests,
      });
      const { lateMaxMs } = await published;
      const spent = used();
      const received = await load.call('received', { timeoutMs: TIMEOUT_MS });
      verify('receiving', received.faults);
      return { spent, lateMaxMs, latency: received.latency };
    };
    await publishAtRate(WARM_UP_EVENTS);
    const {
      spent,
      lateMaxMs,
      latency: summary,
    } = await publishAtRate(PER_SECOND * (quick ? 3 : SECONDS));
    const { p50Ms, p99Ms, maxMs } = summary;
    return {
      p50Ms,
      p99Ms,
      maxMs,
      wholeCores: spent.whole / spent.wallSeconds,
      lateMaxMs,
      ...circumstances(spent),
    };
  },
};
