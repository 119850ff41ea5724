import { measure, verify } from '../../bench/system/measurement.ts';
import { SHORT_TAIL, Stage } from '../../bench/system/stage.ts';
import type { TopicPlan } from '../../bench/wire/topics.ts';
import { eventsOf, type Scale, SMALL_BYTES } from '../scale.ts';

const TIMEOUT_MS = 120_000;
const NARROW_TOPICS_EACH = 4;
const NARROW_MISSED = 100;

/** Microseconds for an event. */
export interface CatchUpCost {
  readonly gatewayUs: number;
  readonly replayUs: number;
}

/** One reader that missed everything. */
export function measureWideCatchUp(scale: Scale, bytes: number): Promise<CatchUpCost> {
  const topics = { prefix: 'wide', audiences: 1, topicsEach: 1 };
  return catchUp({ clients: 1, missed: eventsOf(scale, bytes), bytes, topics });
}

/** Many readers that missed events of a few topics each. */
export function measureNarrowCatchUp({ events }: Scale): Promise<CatchUpCost> {
  const clients = Math.ceil(events / NARROW_MISSED);
  const topics = { prefix: 'narrow', audiences: clients, topicsEach: NARROW_TOPICS_EACH };
  return catchUp({ clients, missed: NARROW_MISSED, bytes: SMALL_BYTES, topics });
}

/** The gateway starts after the events, so that all of them come from the archive. */
async function catchUp(options: {
  readonly clients: number;
  readonly missed: number;
  readonly bytes: number;
  readonly topics: TopicPlan;
}): Promise<CatchUpCost> {
  const { clients, missed, bytes, topics } = options;
  const events = clients * missed;
  const stage = await Stage.open({});
  try {
    const replay = await stage.startReplay();
    const publisher = await stage.startPublisher();
    const plan = { topics, events, eventBytes: bytes, perSecond: 0 };
    const { lastSequence } = await publisher.call('publish', plan);
    await stage.untilProjected(replay, lastSequence);
    const gateway = await stage.startGateway(SHORT_TAIL);
    const load = await stage.startLoad();
    const replaySpent = await measure(replay);
    const gatewaySpent = await measure(gateway);
    const opened = await load.call('open', {
      ...stage.clientPlan(gateway.port),
      eventBytes: bytes,
      timed: false,
      check: topics.audiences === 1 ? 'sequence' : 'counter',
      clients,
      topics,
      after: stage.cursor(0),
      missed,
      until: 'liveUs',
      timeoutMs: TIMEOUT_MS,
    });
    const [gatewaySeconds, replaySeconds] = [await gatewaySpent(), await replaySpent()];
    verify('catching up', opened.faults);
    return {
      gatewayUs: (gatewaySeconds.cpuSeconds * 1e6) / events,
      replayUs: (replaySeconds.cpuSeconds * 1e6) / events,
    };
  } finally {
    await stage.close();
  }
}
