import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { measure, verify } from '../system/measurement.ts';
import { residentBytes } from '../system/process-figures.ts';
import { SHORT_TAIL, Stage } from '../system/stage.ts';
import type { BenchCase } from './bench-case.ts';

const EVENTS = 1_000_000;
const EVENT_BYTES = 300;
const TIMEOUT_MS = 120_000;
const TOPICS = { prefix: 'deep', audiences: 1, topicsEach: 1 };

export const deep: BenchCase = {
  name: 'deep',
  title: 'deep: one client, 1,000,000 events behind',
  sockets: 1,
  method: `The gateway started after the ${EVENTS} events of ${EVENT_BYTES} bytes, so that all of them come from the archive of a replay service; events through the time from the client's \`subscribed\` to its \`live\`.`,
  targets: [{ value: 'eventsPerSecond', text: 'events a second', atLeast: 150_000, unit: '/s' }],
  async run(options) {
    const events = options.quick ? EVENTS / 5 : EVENTS;
    const stage = await Stage.open(options);
    try {
      const replay = await stage.startReplay();
      const publisher = await stage.startPublisher();
      const { lastSequence } = await publisher.call('publish', {
        topics: TOPICS,
        events,
        eventBytes: EVENT_BYTES,
        perSecond: 0,
      });
      await stage.untilProjected(replay, lastSequence);
      const gateway = await stage.startGateway(SHORT_TAIL);
      const load = await stage.startLoad();
      await readMetrics(gateway.url);
      const residentBefore = residentBytes(gateway.pid);
      const replaySpent = await measure(replay);
      const spent = await measure(gateway);
      const opened = await load.call('open', {
        ...stage.clientPlan(gateway.port),
        eventBytes: EVENT_BYTES,
        timed: false,
        check: 'sequence',
        clients: 1,
        topics: TOPICS,
        after: stage.cursor(0),
        missed: events,
        until: 'liveUs',
        timeoutMs: TIMEOUT_MS,
      });
      const { cpuSeconds, natsSeconds, otherCores, load: loadAverage } = await spent();
      const { cpuSeconds: replaySeconds } = await replaySpent();
      verify('catching up', opened.faults);
      const seconds = (opened.lastLiveUs - opened.lastSubscribedUs) / 1e6;
      const residentGrowth = residentBytes(gateway.pid) - residentBefore;
      return {
        eventsPerSecond: events / seconds,
        eventsPerCpuSecond: events / cpuSeconds,
        seconds,
        cpuSeconds,
        natsSeconds,
        replaySeconds,
        residentGrowthMiB: residentGrowth / 1024 ** 2,
        loopBlockMaxMs: loopBlockMaxMs(await readMetrics(gateway.url)),
        otherCores,
        loadAverage,
      };
    } finally {
      await stage.close();
    }
  },
};
