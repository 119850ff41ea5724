import { measure } from '../../bench/system/measurement.ts';
import { Stage } from '../../bench/system/stage.ts';
import { eventsOf, type Scale } from '../scale.ts';

const TOPICS = { prefix: 'events', audiences: 1, topicsEach: 100 };

/** What an event costs without readers. Times are microseconds. */
export interface EventCost {
  readonly gatewayUs: number;
  readonly replayUs: number;
  /** NATS, for each gateway or replay service. */
  readonly feedUs: number;
  readonly appendsPerSecond: number;
}

/** The same number of events, with message ids as from ingest: into the stream alone, with a gateway, and with a replay service. */
export async function measureEvents(scale: Scale, bytes: number): Promise<EventCost> {
  const events = eventsOf(scale, bytes);
  const stage = await Stage.open({});
  try {
    const publisher = await stage.startPublisher();
    const publish = async () => {
      const plan = { topics: TOPICS, events, eventBytes: bytes, perSecond: 0, messageIds: true };
      return publisher.call('publish', plan);
    };
    await publish();
    const alone = await measure({ pid: process.pid });
    const { startedUs, endedUs } = await publish();
    const { natsSeconds: storeSeconds } = await alone();

    const gateway = await stage.startGateway();
    await stage.untilHead(gateway, (await publish()).lastSequence);
    const receiving = await measure(gateway);
    await stage.untilHead(gateway, (await publish()).lastSequence);
    const received = await receiving();
    await gateway.stop();

    const replay = await stage.startReplay();
    await stage.untilProjected(replay, (await publish()).lastSequence);
    const projecting = await measure(replay);
    await stage.untilProjected(replay, (await publish()).lastSequence);
    const projected = await projecting();
    return {
      gatewayUs: (received.cpuSeconds * 1e6) / events,
      replayUs: (projected.cpuSeconds * 1e6) / events,
      feedUs: (Math.max(0, received.natsSeconds - storeSeconds) * 1e6) / events,
      appendsPerSecond: (events * 1e6) / (endedUs - startedUs),
    };
  } finally {
    await stage.close();
  }
}
